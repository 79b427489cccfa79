"""From records to tables and figures (no torch)."""
