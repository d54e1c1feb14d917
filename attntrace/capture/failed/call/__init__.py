"""The call that failed: how it is written, and what it was given when it raised."""
