"""`python -m pacpde.cli`."""

import sys

from pacpde.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
