"""``python -m vreloc_pyg`` is ``vreloc``."""

import sys

from vreloc_pyg.cli import main

if __name__ == "__main__":
    sys.exit(main())
