"""Datagrams: sockets, the exchange, the client and the server."""
