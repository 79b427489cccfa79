"""Runs trained together over one frozen backbone."""
