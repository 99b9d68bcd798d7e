"""`python -m ioc`: the same as the command `ioc`."""

from ioc.cli import main

main()
