"""The responder: echo over TCP and UDP."""
