"""`python -m reflexarc` is the command `reflexarc`."""

from reflexarc.runtime.cli import main

if __name__ == "__main__":
    main()
