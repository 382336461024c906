"""AFT+SRM."""
