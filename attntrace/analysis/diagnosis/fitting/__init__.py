"""Tensors whose shapes must fit each other: element by element, assigned, or joined."""
