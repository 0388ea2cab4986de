"""`python -m consumer` is `tollbell`."""

from consumer.cli import main

main()
