"""Sockets, files and pipes: everything that moves bytes.

Four methods end things here, and each name has one meaning. `finish` reads no more, and writes the
bytes that were read. `stop` does nothing from now on, drops the bytes that wait, and does not close
the ends. `close` releases at once what the object owns. `cancel` abandons work in progress, and no
callback gets its outcome.
"""
