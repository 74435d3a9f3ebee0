"""Pseudonyms of two organisations, and a sanitiser of the first."""

from __future__ import annotations

from privacy.sanitize.pseudonyms import Pseudonyms
from privacy.sanitize.records import Sanitizer

SECRET, OTHER_SECRET = bytes(range(32)), bytes(range(32, 64))
OURS, THEIRS = Pseudonyms(SECRET), Pseudonyms(OTHER_SECRET)
SANITIZER = Sanitizer(OURS)
