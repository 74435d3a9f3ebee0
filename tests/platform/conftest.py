"""Fixtures of the stores of files."""

from tests.platform.stores import kept

__all__ = ["kept"]
