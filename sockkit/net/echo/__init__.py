"""The responder, which answers over TCP and UDP; by default it echoes."""
