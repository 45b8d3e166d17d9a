"""`python -m deployctl`, and the start of deployctl.pyz."""

import sys

from deployctl.commands import main

if __name__ == "__main__":
    sys.exit(main())
