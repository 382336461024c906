"""Two-dimensional convolution over the distances of query and reference."""
