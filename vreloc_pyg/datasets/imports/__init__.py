"""Annotations made in other tools, read back: a format a file."""
