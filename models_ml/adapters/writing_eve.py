"""Write an edge stream as Suricata's `eve.json`, for demonstrations and tests."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from models_ml.adapters.handshake import ACK, FIN, RST, SYN
from models_ml.adapters.writing import address, label_of, packets_of
from models_ml.edge_stream import PROTOCOLS, STATES, EdgeStream
from models_ml.families import FAMILIES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADERS = {"tcp": 74, "udp": 62, "icmp": 62, "other": 54}
"""Ethernet, IPv6 and transport headers of a packet, in bytes."""
_PROTO_NAMES = {"tcp": "TCP", "udp": "UDP", "icmp": "IPv6-ICMP", "other": "SCTP"}
_OPEN = SYN | ACK
_FLAGS = {
    "S0": (SYN, 0),
    "S1": (_OPEN, _OPEN),
    "SF": (_OPEN | FIN, _OPEN | FIN),
    "REJ": (SYN, RST | ACK),
    "S2": (_OPEN | FIN, _OPEN),
    "S3": (_OPEN, _OPEN | FIN),
    "RSTO": (_OPEN | RST, _OPEN),
    "RSTR": (_OPEN, _OPEN | RST),
    "RSTOS0": (SYN | RST, 0),
    "RSTRH": (0, _OPEN | RST),
    "SH": (SYN | FIN, 0),
    "SHR": (0, _OPEN | FIN),
    "OTH": (ACK, ACK),
}
"""Flags of originator and responder by which a state of TCP is known again."""
_FLOW_STATES = {"S0": "new", "RSTOS0": "closed", "S1": "established", "OTH": "established"}


def write_eve(stream: EdgeStream, path: str | Path) -> None:
    """Write `stream` as flow events that Suricata's tools and `read` accept, with its labels at the top of each event.

    Frames count as Suricata counts them. A stream knows only the sum of the two packet counts, see `packets_of`. What
    an event cannot say is lost: the state of flows without connections but for who sent, payload of TCP flows that were
    never opened, and a duration where there is a single packet.
    """
    with Path(path).open("wb") as file:
        file.writelines(orjson.dumps(_event(stream, index)) + b"\n" for index in range(len(stream)))


def _event(stream: EdgeStream, index: int) -> dict[str, Any]:
    proto, state = PROTOCOLS[stream.proto[index]], STATES[stream.state[index]]
    duration = float(stream.duration[index])
    start = float(stream.t[index])
    end = start + (0.0 if math.isnan(duration) else duration)
    sent, received = packets_of(stream, index)
    if proto != "tcp" and state in {"SF", "S0", "SHR"}:
        sent, received = _sides(state, sent + received)
    header = _HEADERS[proto]
    event: dict[str, Any] = {
        "timestamp": _iso(end),
        "flow_id": index + 1,
        "event_type": "flow",
        "src_ip": address(int(stream.src[index])),
        "dest_ip": address(int(stream.dst[index])),
        "proto": _PROTO_NAMES[proto],
        "flow": {
            "pkts_toserver": sent,
            "pkts_toclient": received,
            "bytes_toserver": int(stream.bytes_out[index]) + header * sent,
            "bytes_toclient": int(stream.bytes_in[index]) + header * received,
            "start": _iso(start),
            "end": _iso(end),
            "age": int(end - start),
            "state": _FLOW_STATES.get(state, "closed") if proto == "tcp" else "established" if received else "new",
            "reason": "timeout",
            "alerted": False,
        },
    }
    if proto in {"tcp", "udp"}:
        event["dest_port"] = int(stream.port[index])
    if proto == "tcp":
        client, server = _FLAGS[state]
        event["tcp"] = {
            "tcp_flags": f"{client | server:02x}",
            "tcp_flags_ts": f"{client:02x}",
            "tcp_flags_tc": f"{server:02x}",
        }
    label = label_of(stream, index)
    if label is not None:
        event |= {"label": label, "family": FAMILIES[stream.family[index]]}
    capture = stream.captures[stream.capture[index]]
    return event | ({"capture": capture} if capture else {})


def _sides(state: str, packets: int) -> tuple[int, int]:
    """Packets of both sides that show the state of a flow without connections."""
    if state == "S0":
        return packets, 0
    if state == "SHR":
        return 0, packets
    return max(1, packets - packets // 2), max(1, packets // 2)


def _iso(seconds: float) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
