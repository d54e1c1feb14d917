"""How a token knows where it is, one kind a file."""
