"""Replaying: recordings played again, from either side."""
