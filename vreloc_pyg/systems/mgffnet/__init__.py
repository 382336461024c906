"""MGFFNet as a system."""
