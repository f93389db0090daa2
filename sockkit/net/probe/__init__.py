"""Probing: which targets accept connections, or answer."""
