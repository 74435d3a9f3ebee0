"""Tests that run containers are collected where this user may make mount namespaces: as root, on Linux."""

from __future__ import annotations

from tests.support.isolation import machine_can_isolate

if not machine_can_isolate():
    collect_ignore_glob = ["test_running_*.py"]
