"""Packs: runs over one frozen backbone."""
