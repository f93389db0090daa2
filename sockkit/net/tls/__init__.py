"""TLS: contexts, the handshake, certificates made for one run, and what OpenSSL's errors mean."""
