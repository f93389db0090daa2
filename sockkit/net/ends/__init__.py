"""Ends: what bytes come from and go to."""
