"""Sockets, files and pipes: everything that moves bytes.

Four verbs end things here, each with one meaning. `finish`: read no more, and write what was read.
`stop`: do nothing from now on, drop what waits, and leave the ends open. `close`: release what is
owned, at once. `cancel`: give up work under way, whose outcome is then reported to nobody.
"""
