"""The stored ledger at 100,000 blocks (SQLite): passes over the database, what the API answers, proofs, lineage.

Releases carry zeros for signatures: these rows are about everything but the public-key operations.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import django

from benchmarks.chain import generate
from benchmarks.measure import Row, timed, versions
from flxdr.core.clock import SystemClock, parse_timestamp
from flxdr.core.keys import Algorithm
from ledger.chain.block import block_hash, index_columns, parse_header
from ledger.chain.record import ChainRecord

SIZES = {"1e3": 1_000, "1e4": 10_000, "1e5": 100_000}
ANCESTORS = 10_000
GOVERNED = 3  # genesis and the two admissions
BATCH = 1_000
_PASS = r"""
import re, sys
from pathlib import Path
import django
django.setup()
from flxdr.core.clock import SystemClock
from ledger.services.verification import run_pass
blocks = int(sys.argv[1])
report = run_pass(clock=SystemClock(), signatures_from=blocks).report
assert report.chain_valid and report.blocks_verified == blocks, report
peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
print(report.stats["seconds"], peak)
"""


def rows() -> Iterator[Row]:
    """`ledger.verify_stored.*`, `memory_stored.*`, `verify_api.*`, `inclusion.*`, `consistency.*` and `lineage.*`.

    The answers are those after a full pass, as long as no block was added.
    """
    with tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder:
        os.environ["FL_DATA_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flxdr.settings")
        django.setup()
        from django.core.management import call_command  # noqa: PLC0415 (after Django is set up, like all below)
        from django.db import connection  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        yield from _passes(SIZES)
        yield from _answers(max(SIZES.values()))
        yield _lineage()
        connection.close()


def _passes(sizes: Mapping[str, int]) -> Iterator[Row]:
    """Grow the chain and verify it at every size, in processes of their own."""
    records = generate(max(sizes.values()), Algorithm.ED25519, genuine=False)
    found(islice(records, GOVERNED))
    stored, short = GOVERNED, 0.0
    for name, blocks in sizes.items():
        extend(islice(records, blocks - stored))
        stored = blocks
        done = subprocess.run([sys.executable, "-c", _PASS, str(blocks)], check=True, capture_output=True, text=True)
        seconds, peak = map(float, done.stdout.splitlines()[-1].split())
        note = f"{blocks} blocks with columns, indexes and tree, without signature checks, SQLite; {versions('django')}"
        rate = round(seconds / blocks * 1e6, 2)
        yield Row(f"ledger.verify_stored.{name}", rate, None, None, "us/block", None, None, note)
        short = short or peak
        note = f"peak of that process, against {min(sizes.values())} blocks; {versions('django')}"
        row = (round(peak, 1), round(short, 1), round(short / peak, 3), "MB", None, 0.95)
        yield Row(f"ledger.memory_stored.{name}", *row, note)


def _answers(blocks: int) -> Iterator[Row]:
    from ledger.services import passes  # noqa: PLC0415
    from ledger.services.verification import run_pass  # noqa: PLC0415
    from tests.api.callers import own_user  # noqa: PLC0415

    clock = SystemClock()
    passes.keep(
        run_pass(clock=clock, signatures_from=blocks),
        head=passes.Head.read(),
        began_at=clock.now(),
        source=passes.Source.COMMAND,
        actor="benchmark",
        told=True,
        clock=clock,
    )
    client = own_user()

    def get(path: str, **query: int) -> dict[str, Any]:
        response = client.get(f"blockchain/{path}", query)
        assert response.status_code == 200, response.content
        answer: dict[str, Any] = response.json()
        return answer

    answer = get("ledger/verify")
    assert (answer["chain_valid"], answer["blocks_verified"], answer["verified_from"]) == (True, blocks, blocks), answer
    asked: Sequence[tuple[str, Callable[[], object], float | None]] = (
        ("verify_api", partial(get, "ledger/verify"), 200.0),
        ("inclusion", partial(get, "proof/inclusion", height=blocks // 3), None),
        ("consistency", partial(get, "proof/consistency", **{"from": blocks // 3}), None),
    )
    for name, ask, limit in asked:
        seconds = statistics.median([timed(partial(_prepared, ask)) for _ in range(30)][1:])
        note = f"an answer of the API on {blocks} blocks, without HTTP, SQLite; {versions('django')}"
        yield Row(f"ledger.{name}.1e5", round(seconds * 1000, 2), None, None, "ms", limit, None, note)


def _prepared(ask: Callable[[], object]) -> Callable[[], object]:
    return ask


def _lineage() -> Row:
    from ledger import documents, selectors  # noqa: PLC0415

    newest = selectors.block_at(GOVERNED + ANCESTORS - 1).model_hash
    assert newest is not None

    def walk() -> None:
        blocks, total = selectors.lineage(newest, ANCESTORS, 0)
        assert len(documents.lineage_documents(blocks)) == total == ANCESTORS

    seconds = statistics.median([timed(lambda: walk) for _ in range(6)][1:])
    note = f"one page of {ANCESTORS} releases with their documents, SQLite; {versions('django')}"
    return Row(f"ledger.lineage.{ANCESTORS}", round(seconds, 3), None, None, "s", 0.5, None, note)


def found(records: Iterator[ChainRecord]) -> None:
    """Put the first blocks in place of the genesis block that the migrations made."""
    from django.db import connection, transaction  # noqa: PLC0415

    from ledger.services.appending import append_blocks  # noqa: PLC0415

    with transaction.atomic():
        with connection.cursor() as cursor:
            for table in ("blocks", "approvals", "tree_nodes", "governance_entries", "ledger_signerkey"):
                cursor.execute(f"DELETE FROM {table}")
        governed = list(records)
        append_blocks(records=governed, state=None)
        _store_approvals(governed)


def extend(records: Iterator[ChainRecord]) -> None:
    """Store releases without verifying them."""
    from ledger import selectors  # noqa: PLC0415
    from ledger.chain.tree import Frontier, stored_nodes, whole  # noqa: PLC0415
    from ledger.models import Block, TreeNode  # noqa: PLC0415

    size = selectors.head().height + 1
    frontier = Frontier.from_nodes(size, selectors.tree_nodes(whole(size)))
    while batch := list(islice(records, BATCH)):
        headers = [parse_header(record.header) for record in batch]
        Block.objects.bulk_create(
            Block(
                **{
                    **index_columns(header, block_hash(record.header)),
                    "timestamp": parse_timestamp(header.timestamp),
                    "header": record.header,
                }
            )
            for header, record in zip(headers, batch, strict=True)
        )
        first = stored_nodes(frontier.size)
        nodes = [node for record in batch for node in frontier.append(record.header)]
        TreeNode.objects.bulk_create(TreeNode(position=first + number, hash=node) for number, node in enumerate(nodes))
        _store_approvals(batch)


def _store_approvals(records: Sequence[ChainRecord]) -> None:
    from ledger.models import Approval  # noqa: PLC0415

    Approval.objects.bulk_create(
        Approval(
            block_hash=block_hash(record.header),
            org_id=approval.org_id,
            key_id=approval.key_id,
            signature=approval.signature,
        )
        for record in records
        for approval in record.approvals
    )
