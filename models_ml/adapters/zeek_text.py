"""Zeek connection records in delimited text: native `conn.log`, and CSV with labels."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from models_ml.adapters.columns import FIELD_OF_NAME, FIELDS, HOSTS, REQUIRED, Values
from models_ml.adapters.delimited import EMPTY_TEXTS
from models_ml.adapters.records import BadRecord
from models_ml.adapters.report import ReadReport
from models_ml.errors import UnreadableFlows


class ZeekColumns:
    """Where each of `FIELDS` stands in a line.

    Raises:
        UnreadableFlows: a column that a flow record cannot do without is not there.
    """

    def __init__(self, report: ReadReport, columns: Sequence[str], empty: frozenset[str]) -> None:
        places = {FIELD_OF_NAME[name]: place for place, name in enumerate(columns) if name in FIELD_OF_NAME}
        missing = [name for name in REQUIRED if name not in places]
        if missing:
            raise UnreadableFlows(
                f"the header names no {', '.join(missing)}",
                expected="the columns of a Zeek conn.log: ts, id.orig_h, id.resp_h, id.resp_p, proto, conn_state",
            )
        self._report = report
        self._width = len(columns)
        self._removed = len(columns) - len(places) + len(HOSTS)
        # a field that the log does not have is taken from the empty cell that `pick` appends
        self._take = itemgetter(*(places.get(name, self._width) for name in FIELDS))
        self._unusual = empty - EMPTY_TEXTS

    def pick(self, cells: list[str]) -> Values | BadRecord:
        if len(cells) != self._width:
            return BadRecord(f"{len(cells)} fields instead of {self._width}")
        self._report.values_seen += self._width
        self._report.values_removed += self._removed
        cells.append("")
        values: Values = self._take(cells)
        return tuple("" if value in self._unusual else value for value in values) if self._unusual else values
