"""What a compose file says, with its variables filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


class Missing(Exception):
    """A variable that the file asks for is not set."""


def read(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """The document, with `${NAME}`, `${NAME:-default}` and `${NAME:?message}` replaced.

    Raises:
        Missing: with the file's own message.
    """

    def value(match: re.Match[str]) -> str:
        found = variables.get(match["name"], "")
        if not found and match["kind"] != "-":
            raise Missing(match["rest"] or match["name"])
        return found or match["rest"]

    def filled(node: Any) -> Any:
        if isinstance(node, str):
            return _VARIABLE.sub(value, node)
        if isinstance(node, dict):
            return {key: filled(child) for key, child in node.items()}
        return [filled(child) for child in node] if isinstance(node, list) else node

    document: dict[str, Any] = filled(yaml.safe_load(path.read_text()))
    return document


def variables_named(path: Path) -> set[str]:
    """The variables that the file takes from outside."""
    return {match["name"] for match in _VARIABLE.finditer(path.read_text())}


def mounted_secrets(service: Mapping[str, Any]) -> dict[str, str]:
    """Paths at which a service finds secrets, with their names."""
    return {f"/run/secrets/{name}": name for name in service.get("secrets", ())}


def bind_mounts(service: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Source, target and whether it is read-only, of the volumes in their short form."""
    for volume in service.get("volumes", ()):
        source, target, *options = volume.split(":")
        yield source, target, "ro" in options
