"""Datagrams: their sockets, the client, the server."""
