"""Tests of containers' file systems are collected by `make test-images` (IMAGES=all), as root on Linux."""

from __future__ import annotations

import os

from tests.support.isolation import machine_can_isolate

if os.environ.get("IMAGES") != "all":
    collect_ignore_glob = ["test_running_*.py"]
elif not machine_can_isolate():
    raise RuntimeError("test-images needs root and mount namespaces")
