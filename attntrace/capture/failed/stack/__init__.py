"""The traceback: the author's frames, and the modules whose forwards the error went through."""
