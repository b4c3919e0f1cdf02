"""`python -m b2bua` is the same as the `b2bua` command."""

from b2bua.cli import main

if __name__ == "__main__":
    main()
