"""Write an edge stream as a native Zeek `conn.log` with labels, for demonstrations and tests."""

from __future__ import annotations

import math
from ipaddress import IPv6Address
from pathlib import Path

from models_ml.edge_stream import PROTOCOLS, STATES, EdgeStream
from models_ml.families import BENIGN, FAMILIES, UNLABELLED

_FIELDS = {
    "ts": "time",
    "uid": "string",
    "id.orig_h": "addr",
    "id.resp_h": "addr",
    "id.resp_p": "port",
    "proto": "enum",
    "duration": "interval",
    "orig_bytes": "count",
    "resp_bytes": "count",
    "conn_state": "string",
    "orig_pkts": "count",
    "resp_pkts": "count",
    "label": "string",
    "family": "string",
    "capture": "string",
}
_PSEUDONYM_NET = int(IPv6Address("fd00::"))


def write_conn_log(stream: EdgeStream, path: str | Path) -> None:
    """Write `stream` as TSV that Zeek's tools and `read` accept.

    Hosts appear as unique local IPv6 addresses that carry their pseudonyms. A stream knows only the sum of the two
    packet counts: it is divided evenly where the responder sent bytes, and all the originator's where not.
    """
    header = (
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        "#path\tconn",
        "#fields\t" + "\t".join(_FIELDS),
        "#types\t" + "\t".join(_FIELDS.values()),
    )
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in header)
        file.writelines(_line(stream, index) for index in range(len(stream)))


def _line(stream: EdgeStream, index: int) -> str:
    duration = float(stream.duration[index])
    measured = not math.isnan(duration)
    sent, received = packets_of(stream, index)
    label = label_of(stream, index)
    cells = (
        f"{stream.t[index]:.6f}",
        f"C{index:08x}",
        address(int(stream.src[index])),
        address(int(stream.dst[index])),
        str(stream.port[index]),
        "unknown_transport" if PROTOCOLS[stream.proto[index]] == "other" else PROTOCOLS[stream.proto[index]],
        f"{duration:.6f}" if measured else "-",
        str(stream.bytes_out[index]),
        str(stream.bytes_in[index]),
        STATES[stream.state[index]],
        str(sent),
        str(received),
        label or "-",
        FAMILIES[stream.family[index]] if label else "-",
        stream.captures[stream.capture[index]] or "-",
    )
    return "\t".join(cells) + "\n"


def address(pseudonym: int) -> str:
    """The unique local IPv6 address that carries a pseudonym."""
    return str(IPv6Address(_PSEUDONYM_NET + pseudonym))


def packets_of(stream: EdgeStream, index: int) -> tuple[int, int]:
    """Packets of originator and responder, of which a stream knows the sum."""
    packets = int(stream.packets[index])
    received = packets // 2 if stream.bytes_in[index] else 0
    return packets - received, received


def label_of(stream: EdgeStream, index: int) -> str | None:
    """`Benign` or `Malicious`; None for a record that nobody judged."""
    family = int(stream.family[index])
    if family == UNLABELLED:
        return None
    return "Benign" if family == BENIGN else "Malicious"
