"""Reading of flow records: CPU milliseconds for a hundred thousand, in every format, pseudonyms included."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import orjson

from benchmarks.measure import Row, versions
from models_ml.adapters import Reading, ReadReport, iterate, write_conn_log, write_eve
from models_ml.edge_stream import EdgeStream, concat
from models_ml.synthetic import generate

RECORDS = 100_000
LEAST_PER_SECOND = 60_000
REPEATS = 5
_NETFLOW = (
    "FIRST_SWITCHED,IPV6_SRC_ADDR,IPV6_DST_ADDR,L4_DST_PORT,PROTOCOL,IN_BYTES,IN_PKTS,OUT_BYTES,OUT_PKTS,TCP_FLAGS"
)


def rows() -> list[Row]:
    """`reading.FORMAT`: the least that counts is `LEAST_PER_SECOND` records on one core."""
    with tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder:
        files = written(Path(folder))
        return [_row(name, path) for name, path in files.items()]


def _row(name: str, path: Path) -> Row:
    times = [_seconds(path, name) for _ in range(REPEATS + 1)][1:]
    median = statistics.median(times)
    note = (
        f"{RECORDS / median:,.0f} records/s on one core, CPU time, median of {REPEATS}; {versions('numpy', 'orjson')}"
    )
    limit = 1000 * RECORDS / LEAST_PER_SECOND
    return Row(f"reading.{name}", round(1000 * median, 1), None, None, "ms", round(limit, 1), None, note)


def _seconds(path: Path, name: str) -> float:
    report = ReadReport(source=name, format="")
    gc.collect()
    start = time.process_time()
    count = sum(len(piece) for piece in iterate(path, report, how=Reading(b"k" * 32)))
    spent = time.process_time() - start
    assert (count, report.malformed, report.format) == (RECORDS, 0, name)
    return spent


def written(folder: Path) -> dict[str, Path]:
    """The same records in every format."""
    stream = flows()
    files = {name: folder / name for name in ("zeek-tsv", "zeek-csv", "zeek-json", "suricata-json", "netflow-csv")}
    write_conn_log(stream, files["zeek-tsv"])
    write_eve(stream, files["suricata-json"])
    lines = files["zeek-tsv"].read_text().splitlines()
    names = next(line for line in lines if line.startswith("#fields")).split("\t")[1:]
    cells = [line.split("\t") for line in lines if not line.startswith("#")]
    _write(files["zeek-csv"], (",".join(names), *map(",".join, cells)))
    _write(files["zeek-json"], (orjson.dumps(_typed(dict(zip(names, row, strict=True)))).decode() for row in cells))
    _write(files["netflow-csv"], (_NETFLOW, *(_netflow(dict(zip(names, row, strict=True))) for row in cells)))
    return files


def flows() -> EdgeStream:
    """Generated flows of five organisations."""
    partitions = generate(1, records=RECORDS // 4).values()
    return concat([part for each in partitions for part in (each.train, each.test)]).select(slice(0, RECORDS))


def _write(path: Path, lines: Iterator[str] | tuple[str, ...]) -> None:
    path.write_text("\n".join(lines) + "\n")


def _typed(record: Mapping[str, str]) -> dict[str, object]:
    """A record as Zeek writes it in JSON: numbers as numbers, and nothing where there is no value."""
    makers: dict[str, Callable[[str], object]] = {"ts": float, "duration": float, "id.resp_p": int}
    makers |= dict.fromkeys(("orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts"), int)
    return {name: makers.get(name, str)(value) for name, value in record.items() if value != "-"}


def _netflow(record: Mapping[str, str]) -> str:
    numbers = {"tcp": "6", "udp": "17", "icmp": "58"}
    values = (
        record["ts"],
        record["id.orig_h"],
        record["id.resp_h"],
        record["id.resp_p"],
        numbers.get(record["proto"], "132"),
        record["orig_bytes"],
        record["orig_pkts"],
        record["resp_bytes"],
        record["resp_pkts"],
        "27",
    )
    return ",".join(values)
