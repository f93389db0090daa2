"""The commands: an immutable configuration and a `run` for each."""
