"""What `vreloc` does, one function a command."""
