"""The command `reflexarc`, which is also `python -m reflexarc`."""

import os
import signal
import sys


def main() -> None:
    """Run the command; SIGTERM ends it properly from the first moment on."""
    signal.signal(signal.SIGTERM, _leave)
    from reflexarc.runtime.cli import main as run

    run()


def _leave(*_: object) -> None:
    """While the command line is imported there is nothing to put in order."""
    os._exit(0 if sys.argv[1:2] == ["daemon"] else 130)


if __name__ == "__main__":
    main()
