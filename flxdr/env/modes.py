"""The two modes of a coordinator, and where it is installed."""

from __future__ import annotations

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parents[2]
DEVELOPMENT = "development"
PRODUCTION = "production"
