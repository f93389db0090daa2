"""The commands: a frozen configuration and a `run` for each."""
