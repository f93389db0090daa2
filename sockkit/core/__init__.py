"""Rules about bytes, text and addresses: no sockets, no files, no clock."""
