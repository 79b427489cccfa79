"""What a run leaves behind (no torch). Run folders, the published store, and the schema of both."""
