"""What the shell runs as `sockkit`, and `python -m sockkit`."""

import gc

gc.disable()  # until a command runs: what is imported stays, and to look for garbage takes 5 ms

from sockkit.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
