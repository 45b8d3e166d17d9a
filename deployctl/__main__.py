"""`python -m deployctl`, and the start of deployctl.pyz."""

import sys

if sys.version_info < (3, 9):  # noqa: UP036  # before the imports, which an older one cannot read
    sys.exit("deployctl needs Python 3.9 or newer, and this is %s." % sys.version.split()[0])  # noqa: UP031

from deployctl.commands import main

if __name__ == "__main__":
    sys.exit(main())
