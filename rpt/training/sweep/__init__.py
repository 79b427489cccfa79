"""Many runs: which train together, in which processes, and what they cost."""
