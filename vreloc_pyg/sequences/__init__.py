"""Tensor maths on the steps of clips, [T, F]."""
