"""Attention: the function scaled_dot_product_attention, and torch's modules that attend."""
