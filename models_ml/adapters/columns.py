"""The columns of a log that are read, and nothing else: what is not named here never leaves the line it stands in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

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

Value = str | int | float | None
Values = tuple[Value, ...]
"""One record: the values of `FIELDS`, as the log writes them."""
EMPTY: frozenset[Value] = frozenset((None, "", "-", "(empty)"))
"""What stands for no value."""

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
"""The allow-list of Zeek: every column name that is read, and the field that it fills."""
HOST_NAMES = frozenset(name for name, field in FIELD_OF_NAME.items() if field in HOSTS)

SURICATA_READ: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "": frozenset(
            ("event_type", "src_ip", "dest_ip", "dest_port", "proto", "family", "label", "detail", "capture")
        ),
        "flow": frozenset(
            ("start", "end", "pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient", "state")
        ),
        "tcp": frozenset(("tcp_flags_ts", "tcp_flags_tc")),
    }
)
"""The allow-list of Suricata's flow events: keys of the event, and of the objects `flow` and `tcp` in it. The label
columns are not Suricata's own: labelled exports carry them beside its keys."""
SURICATA_HOSTS = frozenset(("src_ip", "dest_ip"))

NETFLOW_HOSTS = ("IPV4_SRC_ADDR", "IPV4_DST_ADDR", "IPV6_SRC_ADDR", "IPV6_DST_ADDR")
NETFLOW_STARTS: Mapping[str, float] = MappingProxyType(
    {"FLOW_START_MILLISECONDS": 1e3, "FLOW_START_SEC": 1.0, "FIRST_SWITCHED": 1.0}
)
"""Columns that say when a flow began, the finest first, and how many of their units a second has."""
NETFLOW_MEASURES = (
    *NETFLOW_STARTS,
    "L4_DST_PORT",
    "PROTOCOL",
    "IN_BYTES",
    "IN_PKTS",
    "OUT_BYTES",
    "OUT_PKTS",
    "TCP_FLAGS",
    "CLIENT_TCP_FLAGS",
    "SERVER_TCP_FLAGS",
    "FLOW_DURATION_MILLISECONDS",
    "DURATION_IN",
    "DURATION_OUT",
)
NETFLOW_LABELS = ("Label", "Attack", "Dataset")
NETFLOW_READ = (*NETFLOW_HOSTS, *NETFLOW_MEASURES, *NETFLOW_LABELS)
"""The allow-list of NetFlow CSV in nProbe's names (the columns of the public NetFlow v2 sets)."""
