"""Doors to an engine from outside of its process."""
