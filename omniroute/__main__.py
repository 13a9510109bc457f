"""`python -m omniroute` is `omniroute`."""

import sys

from omniroute.cli.main import main

sys.exit(main())
