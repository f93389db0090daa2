"""Sockets, files and pipes: everything that moves bytes or waits for them."""
