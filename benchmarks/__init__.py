"""sockkit measured beside nc, ncat, socat, iconv and pwncat: `python -m benchmarks`.

Not tests: nothing here passes or fails but a run that does not deliver its bytes.
"""
