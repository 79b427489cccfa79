"""Training (see its README)."""
