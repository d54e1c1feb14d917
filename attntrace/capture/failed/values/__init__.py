"""What stood in the frames: read, or worked out on meta, and nothing of the author's is run."""
