"""`python -m genhub.cli` is the command `genhub`."""

from __future__ import annotations

import sys

from genhub.cli import main

sys.exit(main())
