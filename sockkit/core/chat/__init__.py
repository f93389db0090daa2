"""The rules of the chat rooms: over TCP in `room`, over UDP in `udp`."""
