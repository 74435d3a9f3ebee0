"""Connections of the database while a request waits for something else."""

from __future__ import annotations

from django.db import connection


def give_connection_back() -> None:
    """Let others use the pooled connection until this request asks the database again.

    There are fewer of them than threads, and a slow sender may keep its thread for minutes.
    """
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()
