"""`python -m byway`: the command line."""

import sys

from byway.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
