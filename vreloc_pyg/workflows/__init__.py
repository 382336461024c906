"""What the commands do; each is a function, which needs no command line."""
