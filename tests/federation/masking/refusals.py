"""Refused messages: which error, with advice, and nothing stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from federation.models import MaskingMessage
from flxdr.core.errors import FlxdrError
from tests.federation.conftest import Stored


class Refusals:
    """Checks that what is sent in a block is refused and leaves no trace."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored

    @contextmanager
    def __call__(
        self, error: type[FlxdrError] | tuple[type[FlxdrError], ...], match: str | None = None
    ) -> Iterator[None]:
        before, documents = self._stored.count(), list(MaskingMessage.objects.values())
        with pytest.raises(error, match=match) as caught:
            yield
        assert self._stored.count() == before
        assert list(MaskingMessage.objects.values()) == documents
        assert 400 <= caught.value.status < 500
