"""The gateway's one entry point: `python main.py --help`."""

import sys

from gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
