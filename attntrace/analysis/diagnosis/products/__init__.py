"""Products of matrices, and of whatever an einsum says."""
