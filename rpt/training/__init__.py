"""Sweep, packs, runs: see training/README.md."""
