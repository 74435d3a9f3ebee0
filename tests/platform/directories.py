"""A directory of organisations in memory: authentication under test, the federation left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from flxdr.core.keys import PublicKey
from flxdr.platform.auth import directory


@dataclass
class MemoryDirectory:
    keys: dict[str, Sequence[PublicKey]] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    touched: list[str] = field(default_factory=list)

    def look_up(self, org_id: str) -> directory.Record:
        return directory.Record(self._standing(org_id), self.keys.get(org_id, ()), seen_lately=False)

    def touch(self, org_id: str) -> None:
        self.touched.append(org_id)

    def _standing(self, org_id: str) -> directory.Standing:
        if org_id in self.suspended:
            return directory.Standing.SUSPENDED
        return directory.Standing.ACTIVE if org_id in self.active else directory.Standing.OTHER


@contextmanager
def registered(replacement: directory.Directory) -> Iterator[None]:
    """Use `replacement` until the block ends."""
    before = directory._Registry.directory
    directory.register(replacement)
    try:
        yield
    finally:
        directory._Registry.directory = before
