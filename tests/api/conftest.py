"""The published schema, for the tests that hold answers against it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", "--file", str(path))
    document: dict[str, Any] = json.loads(path.read_text())
    return document
