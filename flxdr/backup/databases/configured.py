"""The database that the settings name."""

from __future__ import annotations

from django.db import connection

from flxdr.backup.databases.interface import Database
from flxdr.backup.databases.postgresql import Postgresql
from flxdr.backup.databases.sqlite import Sqlite


def database() -> Database:
    return Postgresql() if connection.vendor == "postgresql" else Sqlite()
