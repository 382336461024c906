"""Moments in the files of other tools: players, editors and annotation tools; a format a file."""
