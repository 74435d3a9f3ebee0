"""The version of what agents and coordinators say to each other; both sides refuse another one than their own."""

from __future__ import annotations

PROTOCOL_VERSION = 1
"""Grows with every change that an agent or coordinator of the version before would misunderstand."""
PROTOCOL_HEADER = "Flxdr-Protocol"
"""Request header in which an agent names its version."""
