"""How sizes, shapes and bytes are written: what reads such texts, and what prints them."""
