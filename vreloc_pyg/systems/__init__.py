"""Every system of the tables, from chance to MGFFNet: a file or a folder each."""
