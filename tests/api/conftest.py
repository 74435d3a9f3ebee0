"""The API's tests run on the chain that the test database was founded with, and so with its coordinator's key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.settings import FLXDR as SESSION

KEYS = "keys"


@pytest.fixture(autouse=True)
def _founding_key(data_dir: Path) -> None:
    """This test's data folder holds the key that signed the genesis block."""
    founded = SESSION.data_dir / KEYS
    if founded.is_dir():
        shutil.copytree(founded, data_dir / KEYS, dirs_exist_ok=True)
