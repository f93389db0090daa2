"""The program `sockkit`, also run by `python -m sockkit`."""

# Part of the interpreter: importing `signal` takes a millisecond.
import _signal as signal  # type: ignore[import-not-found]

try:
    # Until a command runs there is nothing to clean up, and a traceback does not help a user.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
except KeyboardInterrupt:  # Ctrl-C came before SIG_DFL was set
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.raise_signal(signal.SIGINT)

import gc
import os

gc.disable()  # until a command runs: imports leave no garbage, and looking for it takes 5 ms

try:
    from sockkit.cli.main import main
except MemoryError:
    os.write(2, b"sockkit: not enough memory\n")
    os._exit(1)

if __name__ == "__main__":
    main()
