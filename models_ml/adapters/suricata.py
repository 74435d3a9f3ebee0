"""Suricata's `eve.json`: its flow events are read; alerts, DNS answers and all other events are counted and left out.

| Zeek                   | Suricata                                                                             |
|------------------------|--------------------------------------------------------------------------------------|
| `ts`, `duration`       | `flow.start`, and from there to `flow.end`; a single packet has no duration           |
| `orig_bytes`, `resp_bytes` | `bytes_toserver`, `bytes_toclient`, which count whole frames: without Ethernet, IP and transport headers |
| `conn_state` of TCP    | from the flags that each side sent (`tcp.tcp_flags_ts`, `tcp.tcp_flags_tc`; see `handshake`). Without them from `flow.state`: `new` is S0, or S1 where the server answered; `established` is S1, `closed` is SF, all else OTH |
| `conn_state` of others | SF where both sides sent, S0 or SHR where one did                                    |

Labels (`family`, `label`, `detail`, `capture`) are read at the top of an event where an export carries them.
"""  # noqa: E501  (a table)

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from models_ml.adapters.columns import SURICATA_HOSTS, SURICATA_READ, Value, Values
from models_ml.adapters.handshake import IPV4_HEADER, IPV6_HEADER, datagram_state, payload, tcp_state
from models_ml.adapters.json_lines import SCALARS, epoch, json_objects, scalar
from models_ml.adapters.lines import Line
from models_ml.adapters.records import BadRecord
from models_ml.adapters.report import ReadReport

_ETHERNET = 14
_PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "ICMP": "icmp", "IPv6-ICMP": "icmp"}
_UNLABELLED = (None, None, None, None)
_MAX_SHAPES = 256
_STAMP = len("2021-06-06T15:57:37.272281+0200")


class SuricataRows:
    """Flow events as records in Zeek's words."""

    def __init__(self, report: ReadReport) -> None:
        self._report = report
        self._removed: dict[tuple[tuple[str, ...], ...], int] = {}

    def rows(self, lines: Iterable[Line]) -> Iterator[tuple[int, Values | BadRecord]]:
        for number, event in json_objects(lines):
            if isinstance(event, BadRecord):
                yield number, event
                continue
            kind = event.get("event_type")
            if kind != "flow":
                if isinstance(kind, str):
                    self._report.add_skipped(kind)
                else:
                    yield number, BadRecord("no event_type")
                continue
            try:
                yield number, self._record(event)
            except BadRecord as error:
                yield number, error

    def _record(self, event: dict[str, Any]) -> Values:
        flow = event.get("flow")
        if not isinstance(flow, dict):
            raise BadRecord("a flow event without its flow")
        tcp = event.get("tcp")
        tcp = tcp if isinstance(tcp, dict) else {}
        self._count(event, flow, tcp)
        find, get = event.get, flow.get
        src, dst, proto = find("src_ip"), find("dest_ip"), find("proto")
        if not (src.__class__ is dst.__class__ is proto.__class__ is str):
            raise BadRecord("no text for src_ip, dest_ip or proto")
        proto = _PROTOCOLS.get(proto) or proto.lower()
        sent, received = get("pkts_toserver", 0), get("pkts_toclient", 0)
        out, back = get("bytes_toserver", 0), get("bytes_toclient", 0)
        if not (sent.__class__ is received.__class__ is out.__class__ is back.__class__ is int):
            raise BadRecord("packets or bytes of the flow are no counts")
        if sent < 0 or received < 0 or out < 0 or back < 0:
            raise BadRecord("packets or bytes of the flow are no counts")
        state = _state(proto, flow, tcp, sent, received)
        header = _ETHERNET + (IPV6_HEADER if ":" in src else IPV4_HEADER)
        start, end = _moment(get("start")), _moment(get("end"))
        labels = find("family"), find("label"), find("detail"), find("capture")
        if labels != _UNLABELLED and not SCALARS.issuperset(map(type, labels)):
            raise BadRecord("a label is neither text nor a number")
        return (
            start,
            src,
            dst,
            0 if proto == "icmp" else scalar(event, "dest_port") or 0,
            proto,
            _duration(start, end) if sent + received > 1 else None,
            payload(out, sent, proto, state, header),
            payload(back, received, proto, state, header),
            state,
            sent,
            received,
            *labels,
        )

    def _count(self, event: dict[str, Any], flow: dict[str, Any], tcp: dict[str, Any]) -> None:
        """Count values; how many of them are read is looked up once for each set of keys."""
        shape = (tuple(event), tuple(flow), tuple(tcp))
        removed = self._removed.get(shape)
        if removed is None:
            if len(self._removed) >= _MAX_SHAPES:
                self._removed.clear()
            removed = self._removed[shape] = _seen(event, flow, tcp) - sum(
                len((section.keys() & keys) - SURICATA_HOSTS)
                for section, keys in zip((event, flow, tcp), SURICATA_READ.values(), strict=True)
            )
        self._report.values_seen += _seen(event, flow, tcp)
        self._report.values_removed += removed


def _seen(event: dict[str, Any], flow: dict[str, Any], tcp: dict[str, Any]) -> int:
    return len(event) - 1 + len(flow) + (len(tcp) - 1 if tcp else 0)


def _state(proto: str, flow: Mapping[str, Any], tcp: Mapping[str, Any], sent: int, received: int) -> str:
    if proto != "tcp":
        return datagram_state(sent, received)
    found = _state_of_flags(tcp.get("tcp_flags_ts", ""), tcp.get("tcp_flags_tc", ""))
    if found is not None:
        return found
    state = scalar(flow, "state")
    if state == "new":
        return "S1" if received else "S0"
    return {"established": "S1", "closed": "SF"}.get(str(state), "OTH")


def _state_of_flags(client: Any, server: Any) -> str | None:
    """The state, or None where no flag is known."""
    try:
        return _known_state(client, server)
    except (TypeError, ValueError):
        raise BadRecord(f"TCP flags {str((client, server))[:40]} are no hexadecimal numbers") from None


@lru_cache(maxsize=4096)
def _known_state(client: str, server: str) -> str | None:
    flags = int(client or "0", 16), int(server or "0", 16)
    return tcp_state(*flags) if any(flags) else None


def _duration(start: Value, end: Value) -> float | None:
    if start.__class__ is not float or end.__class__ is not float:
        return None
    # a clock that was set back while the flow lasted leaves nothing that could be called its duration
    return end - start if end >= start else None


def _moment(value: Any) -> Value:
    """Seconds since 1970 of a time as Suricata writes it, such as `2021-06-06T15:57:37.272281+0200`."""
    if value.__class__ is not str:
        if value is None:
            return None
        raise BadRecord("start or end of the flow is no text")
    if len(value) == _STAMP and value[19] == ".":
        digits = value[17:19] + value[20:26]
        if digits.isdecimal() and digits.isascii() and digits < "60":
            return _whole_minute(value[:16] + value[26:]) + int(digits) / 1e6
    return epoch(value)


@lru_cache(maxsize=1 << 14)
def _whole_minute(value: str) -> float:
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        raise BadRecord(f"{value[:40]!r} is no time") from None
