"""Many videos: an index of them, and search in it."""
