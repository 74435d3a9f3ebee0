"""What a process imports when it starts: every command and every worker waits for that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.processes import REPOSITORY, clean_environment

_LIBRARIES = """
import sys, django
django.setup()
import flxdr.urls
print(*sorted({"redis", "stix2"} & set(sys.modules)))
"""


def test_libraries_that_few_need_are_not_imported_at_the_start(tmp_path: Path) -> None:
    """The client of a queue that these settings do not name, and the writer of one format."""
    environment = clean_environment({"FL_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "flxdr.settings"})
    command = [sys.executable, "-c", _LIBRARIES]
    told = subprocess.run(command, env=environment, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert told.stdout.split() == []
