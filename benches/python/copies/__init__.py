"""Copies, conversions and files from Python, beside NumPy, torch, TensorFlow and JAX."""
