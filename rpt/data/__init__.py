"""Where rows come from, which of them train, choose and are reported, and how they become batches."""
