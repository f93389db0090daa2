"""Replays recordings, as the client or as the server."""
