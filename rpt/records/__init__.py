"""What runs leave behind: their folders, the published store, and the schema of both. Imports no torch."""
