"""``python -m pyxglm``: the same as the command ``pyxglm``."""

import sys

from pyxglm.cli import main

if __name__ == "__main__":
    sys.exit(main())
