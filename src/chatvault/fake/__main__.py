"""`python -m chatvault.fake`."""

import sys

from chatvault.fake.command import main

if __name__ == "__main__":
    sys.exit(main())
