"""sockkit: a command-line toolkit for sockets."""

__version__ = "0.1.0"
