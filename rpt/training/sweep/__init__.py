"""Many runs: packs, processes, cost."""
