"""A matching transformer."""
