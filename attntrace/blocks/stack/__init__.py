"""Layers on top of each other, what makes tokens for them, and what is made of their output.

Nothing is re-exported: the vision stems are made of layers, and the stacks of vision stems.
"""
