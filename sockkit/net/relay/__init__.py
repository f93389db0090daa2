"""The relay: each client is joined to a connection of its own to the target."""
