"""Layers and losses: what they were built for, and where they read it."""
