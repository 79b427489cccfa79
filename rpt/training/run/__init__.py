"""One run, from configuration to record."""
