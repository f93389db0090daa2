"""The relay: joins each client to its own connection to the target."""
