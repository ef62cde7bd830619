"""`python -m pacpde`."""

import sys

from pacpde.cli import main

if __name__ == "__main__":
    sys.exit(main())
