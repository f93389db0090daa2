"""The terminal: the edited line, output above it, and colours."""
