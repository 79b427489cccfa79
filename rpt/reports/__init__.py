"""Run records and what is made of them. Imports no torch."""
