"""What one answer shows: pages, a server, clips, subtitles."""
