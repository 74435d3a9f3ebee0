"""`python -m benchmarks.group MODULE FILE`: measure one group in this process and write its rows as JSON."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    _, module, file = sys.argv
    Path(file).write_text(json.dumps([row.as_json() for row in import_module(module).rows()]))
