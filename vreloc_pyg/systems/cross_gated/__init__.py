"""Cross-gated bilinear matching (CGBM)."""
