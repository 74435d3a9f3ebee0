"""NetFlow as CSV in nProbe's column names (the 43 columns of the public NetFlow v2 sets, `Label` and `Attack` too).

| Zeek                       | NetFlow                                                                              |
|----------------------------|--------------------------------------------------------------------------------------|
| `ts`                       | `FLOW_START_MILLISECONDS`, `FLOW_START_SEC` or `FIRST_SWITCHED`, in seconds since 1970. Public v2 sets have none: see `NetflowColumns` |
| `duration`                 | `FLOW_DURATION_MILLISECONDS`. The public sets hold it wrapped (2^32 us less the duration) for most flows; where `DURATION_IN` and `DURATION_OUT` contradict it, that is undone. A single packet has no duration |
| `orig_bytes`, `resp_bytes` | `IN_BYTES`, `OUT_BYTES`, which count IP packets: without IP and transport headers     |
| `conn_state` of TCP        | from `CLIENT_TCP_FLAGS` and `SERVER_TCP_FLAGS` (see `handshake`). Where only `TCP_FLAGS` is there, both sides are taken to have sent all of them, or the client alone if nothing came back: refused connections cannot be told then |
| `conn_state` of others     | SF where both sides sent, S0 or SHR where one did                                    |
| `family`                   | `Attack` (`families.from_attack`), or Benign where `Label` is 0                      |
| `capture`                  | `Dataset`                                                                            |
"""  # noqa: E501  (a table)

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import itemgetter

from models_ml.adapters.columns import NETFLOW_HOSTS, NETFLOW_READ, NETFLOW_STARTS, Value, Values
from models_ml.adapters.handshake import IPV4_HEADER, IPV6_HEADER, datagram_state, payload, tcp_state
from models_ml.adapters.records import BadRecord
from models_ml.adapters.report import ReadReport
from models_ml.errors import UnreadableFlows
from models_ml.families import from_attack

_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}
_REQUIRED = ("L4_DST_PORT", "PROTOCOL", "IN_BYTES", "IN_PKTS", "OUT_BYTES", "OUT_PKTS")
_WRAP = 2**32 // 1000  # milliseconds
_HALF_WRAP = _WRAP // 2
_MAX_DIGITS = 16


class NetflowColumns:
    """Makes records of the cells of a line.

    Args:
        assumed_rate: for a file whose records carry no time: they are taken to follow each other at this many a second,
            in the order of the file, from 1970 on. Both are assumptions: what hosts did just before a flow, which the
            models look at, is then as true as they are.

    Raises:
        UnreadableFlows: a column that a flow record cannot do without is not there, or none that says when it began and
            no rate is assumed.
    """

    def __init__(
        self, report: ReadReport, assumed_rate: float | None, columns: Sequence[str], empty: frozenset[str]
    ) -> None:
        places = {name: place for place, name in enumerate(columns) if name in NETFLOW_READ}
        missing = [name for name in _REQUIRED if name not in places]
        if not any(name in places for name in NETFLOW_HOSTS):
            missing.append("IPV4_SRC_ADDR")
        if not places.keys() & {"TCP_FLAGS", "CLIENT_TCP_FLAGS"}:
            missing.append("TCP_FLAGS")
        if missing:
            raise UnreadableFlows(f"the header names no {', '.join(missing)}", expected="the columns of NetFlow v2")
        self._start = next((name for name in NETFLOW_STARTS if name in places), None)
        if self._start is None and assumed_rate is None:
            raise UnreadableFlows(
                "the records carry no time",
                expected=f"a column {' | '.join(NETFLOW_STARTS)}",
                action="Export it, or state the rate to assume: `assumed_rate` of [data] in agent.toml, records/s.",
            )
        self._assumed_rate = assumed_rate
        self._report = report
        self._width = len(columns)
        self._removed = len(columns) - len(places.keys() - set(NETFLOW_HOSTS))
        self._record = 0
        get = partial(_place, places, self._width)
        self._hosts = itemgetter(*map(get, NETFLOW_HOSTS))
        self._texts = itemgetter(
            *(get(name) for name in (self._start or "", "L4_DST_PORT", "Label", "Attack", "Dataset"))
        )
        self._split_flags = "CLIENT_TCP_FLAGS" in places and "SERVER_TCP_FLAGS" in places
        self._has_sides = "DURATION_IN" in places and "DURATION_OUT" in places
        flags = ("CLIENT_TCP_FLAGS", "SERVER_TCP_FLAGS") if self._split_flags else ("TCP_FLAGS", "TCP_FLAGS")
        self._counts = itemgetter(
            *(get(name) for name in ("PROTOCOL", "IN_BYTES", "IN_PKTS", "OUT_BYTES", "OUT_PKTS", *flags)),
            *(get(name) for name in ("FLOW_DURATION_MILLISECONDS", "DURATION_IN", "DURATION_OUT")),
        )

    def pick(self, cells: list[str]) -> Values | BadRecord:
        if len(cells) != self._width:
            return BadRecord(f"{len(cells)} fields instead of {self._width}")
        self._report.values_seen += self._width
        self._report.values_removed += self._removed
        cells.append("")
        try:
            number, out, sent, back, received, client, server, lasted, lasted_in, lasted_out = map(
                _count, self._counts(cells)
            )
        except ValueError as error:
            return BadRecord(str(error))
        proto = _PROTOCOLS.get(number, "other")
        if proto == "tcp":
            state = tcp_state(client, server if self._split_flags or received else 0)
        else:
            state = datagram_state(sent, received)
        src4, dst4, src6, dst6 = self._hosts(cells)
        start, port, label, attack, dataset = self._texts(cells)
        header = IPV4_HEADER if src4 else IPV6_HEADER
        if lasted > _HALF_WRAP and self._has_sides and 2 * max(lasted_in, lasted_out) < lasted:
            lasted = _WRAP - lasted
        return (
            self._time(start),
            src4 or src6,
            dst4 or dst6,
            port,
            proto,
            lasted / 1e3 if sent + received > 1 else None,
            payload(out, sent, proto, state, header),
            payload(back, received, proto, state, header),
            state,
            sent,
            received,
            from_attack(attack, label),
            None,
            None,
            dataset,
        )

    def _time(self, text: str) -> Value:
        if self._start is None:
            self._record += 1
            return (self._record - 1) / (self._assumed_rate or 1.0)
        divisor = NETFLOW_STARTS[self._start]
        try:
            return float(text) / divisor
        except ValueError:
            return text  # the record builder names it


def _place(places: dict[str, int], beyond: int, name: str) -> int:
    """Where a column stands; the empty cell that `pick` appends, where there is no such column."""
    return places.get(name, beyond)


def _count(text: str) -> int:
    if not text:
        return 0
    if not (text.isdecimal() and text.isascii()) or len(text) > _MAX_DIGITS:
        raise ValueError(f"{text[:40]!r} is no count")
    return int(text)
