"""From the frames of videos to features."""
