"""`python -m chatvault`: the same as the command `chatvault`."""

from chatvault.cli import main

if __name__ == "__main__":
    main()
