"""One tensor in another shape: viewed, expanded, permuted, split, unpacked."""
