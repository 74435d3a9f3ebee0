"""Assets of others are exactly those that `static/vendor/VENDOR.txt` names."""

from __future__ import annotations

import hashlib
from pathlib import Path

from django.conf import settings

VENDOR = Path(settings.BASE_DIR) / "static" / "vendor"


def test_every_vendored_file_is_listed_with_version_licence_and_hash() -> None:
    lines = (VENDOR / "VENDOR.txt").read_text().splitlines()
    listed = {}
    for line in lines:
        if not line.startswith("#"):
            path, package, version, licence, digest = line.split()
            assert package.startswith("npm:")
            assert version[0].isdigit()
            assert licence
            listed[path] = digest
    found = {
        str(file.relative_to(VENDOR)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in VENDOR.rglob("*")
        if file.is_file() and file.name != "VENDOR.txt"
    }
    assert found == listed
