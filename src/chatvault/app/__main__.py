"""`python -m chatvault.app FD`: a child of the supervisor. People use `chatvault serve`."""

import sys

from chatvault.app.child import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
