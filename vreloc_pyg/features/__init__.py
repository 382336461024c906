"""Features on disk: stores, what made them, and their reduction."""
