"""MGFFNet as a system: its settings, episodes, loss, ranking and presets."""
