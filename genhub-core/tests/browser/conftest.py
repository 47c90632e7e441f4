from __future__ import annotations

import os

if "GENHUB_CHROMIUM" not in os.environ:  # `nox -s browser` says where it is
    collect_ignore = ["test_browser.py"]
