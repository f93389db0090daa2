"""Measures sockkit and compares it with nc, ncat, socat, iconv and pwncat: `python -m benchmarks`.

These are not tests: only a run that does not deliver its bytes fails.
"""
