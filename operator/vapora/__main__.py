"""Runs the command line: `python -m vapora`."""

from vapora.cli import main

if __name__ == "__main__":
    main()
