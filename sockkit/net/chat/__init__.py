"""The servers of the chat rooms."""
