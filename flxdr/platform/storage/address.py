"""Which bucket the files are in."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class BucketAddress:
    """Where the bucket is and who asks. What is None is taken from the usual places of the AWS tools."""

    name: str
    endpoint: str | None
    region: str | None
    prefix: str
    access_key_id: str | None = field(repr=False)
    secret_access_key: str | None = field(repr=False)
