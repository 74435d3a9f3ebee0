"""The state and the services that hold it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flxdr.env.modes import BASE_DIR
from flxdr.platform.configuration import address, integer, matching, path, text, url, variable

GROUP = "State and services"


@dataclass(frozen=True)
class State:
    """The group *State and services*."""

    data_dir: Path = variable(  # noqa: RUF009 - it makes a field
        "FL_DATA_DIR", path(), str(BASE_DIR / "var"), "state: database, keys, files, queue, logs", group=GROUP
    )
    heartbeat_file: Path | None = variable(  # noqa: RUF009 - it makes a field
        "FL_HEARTBEAT_FILE",
        path(),
        "",
        "file whose time a worker and the beat renew every few seconds while they work, for a container's probe "
        "(`deploy/healthcheck.py`); each needs its own",
        group=GROUP,
    )
    database_url: str | None = variable(
        "DATABASE_URL",
        url("postgres", "postgresql"),
        "",
        "PostgreSQL instead of SQLite",
        group=GROUP,
        secret=True,
    )
    database_pool: int = variable(
        "FL_DATABASE_POOL",
        integer(1, 1000),
        "16",
        "connections to PostgreSQL that one process opens at most; all processes together must stay below the server's "
        "`max_connections` (docs/scaling.md)",
        group=GROUP,
    )
    redis_url: str | None = variable(
        "REDIS_URL",
        url("redis", "rediss"),
        "",
        "Redis as the task queue instead of files under `FL_DATA_DIR/broker`",
        group=GROUP,
        secret=True,
    )
    blobs_s3_bucket: str | None = variable(
        "FL_BLOBS_S3_BUCKET",
        matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name: 3 to 63 lower-case letters, digits, `.`, `-`"),
        "",
        "S3 bucket for updates and models, instead of `FL_DATA_DIR/blobs` (docs/scaling.md)",
        group=GROUP,
    )
    blobs_s3_endpoint: str | None = variable(
        "FL_BLOBS_S3_ENDPOINT",
        address(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?", "an https:// (or http://) address"),
        "",
        "address of an S3-compatible server; unset: Amazon's. Production takes https alone, except on this machine",
        group=GROUP,
    )
    blobs_s3_region: str | None = variable(
        "FL_BLOBS_S3_REGION",
        matching(r"[a-z0-9-]{1,63}", "a region's name, such as eu-central-1"),
        "",
        "region of the bucket; unset: as the AWS tools find it",
        group=GROUP,
    )
    blobs_s3_prefix: str | None = variable(
        "FL_BLOBS_S3_PREFIX",
        matching(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", "letters, digits, `-`, `_`, with `/` between parts"),
        "",
        "what the objects' names begin with, so that a bucket serves several coordinators",
        group=GROUP,
    )
    blobs_s3_access_key_id: str | None = variable(
        "FL_BLOBS_S3_ACCESS_KEY_ID",
        text(),
        "",
        "access key of the bucket; unset: as the AWS tools find one (environment, profile, role of the machine)",
        group=GROUP,
        secret=True,
    )
    blobs_s3_secret_access_key: str | None = variable(
        "FL_BLOBS_S3_SECRET_ACCESS_KEY",
        text(),
        "",
        "the secret that belongs to `FL_BLOBS_S3_ACCESS_KEY_ID`",
        group=GROUP,
        secret=True,
    )
    blobs_cache_bytes: int = variable(
        "FL_BLOBS_CACHE_BYTES",
        integer(0, 2**50),
        str(10 * 2**30),
        "bytes of copies of the bucket's files that a machine keeps in `FL_DATA_DIR/cache`; what an aggregation works "
        "with stays beyond that",
        group=GROUP,
    )
