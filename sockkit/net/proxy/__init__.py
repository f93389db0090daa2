"""Proxies: what is said to them, and a connection that goes through one."""
