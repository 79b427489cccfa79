"""The parts of scripts/benchmark.py: what is compared, how it is measured, how it is shown."""
