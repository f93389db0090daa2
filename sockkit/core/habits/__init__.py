"""Advice for users who know nc, ncat, socat or a desktop assistant: what to write for sockkit.

It takes words and returns advice. It opens nothing, and is imported only for a wrong command line.
"""
