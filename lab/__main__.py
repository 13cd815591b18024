"""`python -m lab`."""

import sys

if __name__ == "__main__":
    try:
        from lab.cli.main import main  # takes a while, in which Ctrl-C may come

        main()
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        sys.exit(130)
