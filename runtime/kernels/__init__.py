"""Triton kernels: what a step computes between its matrix products, fused, and attention over slots.

Each file is one kernel with its launcher, which checks nothing a caller can see from the shapes in its docstring. The
plain torch counterparts (`models/block_ops.py`, `attention/torch_backend.py`, `sampling/draw.py`) are the meaning; the
tests compare with them, on a CPU through Triton's interpreter (`TRITON_INTERPRET=1`), on the device as they are.
"""
