"""The command `reflexarc`, which is also `python -m reflexarc`.

A signal that comes while the command line is still imported ends the process at once: there is
nothing to put in order. So it is with a daemon until its loop listens to signals itself; what it
has started by then ends with it.
"""

import os
import signal
import sys


def main() -> None:
    """Run the command."""
    daemon = sys.argv[1:2] == ["daemon"]
    for number in (signal.SIGTERM, signal.SIGINT) if daemon else (signal.SIGTERM,):
        signal.signal(number, lambda *_: os._exit(0 if daemon else 130))
    from reflexarc.runtime.cli import main as run

    run()


if __name__ == "__main__":
    main()
