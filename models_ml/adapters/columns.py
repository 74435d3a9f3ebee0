"""The columns of a log that are read, and nothing else: what is not named here never leaves the line it stands in."""

from __future__ import annotations

from collections.abc import Mapping

FIELDS = (
    "ts",
    "src",
    "dst",
    "port",
    "proto",
    "duration",
    "orig_bytes",
    "resp_bytes",
    "conn_state",
    "orig_pkts",
    "resp_pkts",
    "family",
    "label",
    "detail",
    "capture",
)
"""What a parser hands over for each record, in this order; None where the record has no value."""

REQUIRED = ("ts", "src", "dst", "port", "proto", "conn_state")
HOSTS = ("src", "dst")
"""Fields whose values are replaced by pseudonyms before a record becomes a row."""

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "src": ("id.orig_h", "id_orig_h", "src_ip"),
    "dst": ("id.resp_h", "id_resp_h", "dst_ip"),
    "port": ("id.resp_p", "id_resp_p", "dst_port"),
    "detail": ("detailed-label", "detailed_label"),
}
"""Column names of Zeek and of labelled exports beside the field's own."""

NAMES_OF_FIELD = tuple((*_ALIASES.get(field, ()), field) for field in FIELDS)
"""Column names in the order in which they count, for each of `FIELDS`."""

FIELD_OF_NAME: Mapping[str, str] = {
    name: field for field, names in zip(FIELDS, NAMES_OF_FIELD, strict=True) for name in names
}
"""The allow-list: every column name that is read, and the field that it fills."""
HOST_NAMES = frozenset(name for name, field in FIELD_OF_NAME.items() if field in HOSTS)
