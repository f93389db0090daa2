"""The terminal: the line being typed, what arrives above it, and colours."""
