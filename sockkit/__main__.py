"""`python -m sockkit` is the `sockkit` command."""

from sockkit.cli.main import main

main()
