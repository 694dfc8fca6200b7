"""Runs the gateway with less time to finish than it takes: `python -m tests.support.hasty_stop 0.5 serve`."""

import sys

from gateway import app
from gateway.cli import main

if __name__ == "__main__":
    vars(app)["_DRAIN_S"] = float(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
