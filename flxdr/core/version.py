"""The version of flxdr. The packages' metadata take it from here: a container runs from the sources alone."""

from __future__ import annotations

VERSION = "0.1.0"
