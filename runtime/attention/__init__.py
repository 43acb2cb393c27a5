"""The KV pool and the attention over it, behind one small interface."""
