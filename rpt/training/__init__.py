"""Training and evaluating packs of runs over one frozen backbone."""
