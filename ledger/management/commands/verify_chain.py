"""`manage.py verify_chain`: is the chain whole, and if not, where and why."""

from __future__ import annotations

import contextlib
import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, OperationalError, ProgrammingError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flxdr.core.clock import SystemClock
from flxdr.core.errors import Malformed
from flxdr.core.terminal import printable
from ledger.chain import export
from ledger.chain.anchoring import HeldCheckpoint, TreeWatch
from ledger.chain.verify import Report, verify_chain
from ledger.management.arguments import add_checkpoint_arguments, hash_argument, held_checkpoints
from ledger.services import passes
from ledger.services.recomputation import RecomputationReport, recompute_releases
from ledger.services.verification import newest_height, run_pass


class Command(BaseCommand):
    help = (
        "Verify the ledger: canonical bytes, columns, hash links, certificates, quorums, signatures, lineage, keys, "
        "tree. Exit code 1 if a block is bad (the answer names its height, the check, the field and both values), "
        "2 if the ledger cannot be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--genesis", type=hash_argument, metavar="HASH", help="the genesis hash that you expect")
        parser.add_argument(
            "--from",
            dest="signatures_from",
            type=_height,
            default=0,
            metavar="H",
            help="check signatures from height H on; the blocks below are checked for structure only",
        )
        parser.add_argument(
            "--export",
            type=Path,
            metavar="FILE",
            help="verify a file that `export_chain` wrote, instead of this database",
        )
        add_checkpoint_arguments(parser)
        parser.add_argument(
            "--recompute",
            action="store_true",
            help="also recompute every release from its round's stored submissions and compare the model's hash",
        )
        parser.add_argument("--json", action="store_true", help="answer with one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["export"] and options["recompute"]:
            raise CommandError("--recompute needs the submissions of this database; an export holds none", returncode=2)
        recomputation: RecomputationReport | None = None
        try:
            held = held_checkpoints(options)
            report = _verify(options, held) if options["export"] is None else _verify_export(options, held)
            if options["recompute"] and report.chain_valid:
                with _progress("recomputing", report.blocks_verified, enabled=not options["json"]) as advance:
                    recomputation = recompute_releases(last=report.blocks_verified - 1, progress=advance)
        except OSError as error:
            raise CommandError(f"the file cannot be read: {error}", returncode=2) from error
        except Malformed as error:
            raise CommandError(f"the checkpoint cannot be read: {printable(str(error))}", returncode=2) from error
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"the ledger cannot be read: {error}. Run `manage.py migrate` if this database is new.", returncode=2
            ) from error
        if options["json"]:
            recomputed = {"recomputation": recomputation.as_json()} if recomputation else {}
            self.stdout.write(json.dumps(report.as_json() | recomputed))
        else:
            self._tell(report)
            if recomputation is not None:
                self._tell_recomputation(recomputation)
        if not report.chain_valid or (recomputation is not None and not recomputation.holds):
            raise SystemExit(1)

    def _tell(self, report: Report) -> None:
        for warning in report.warnings:
            self.stdout.write(self.style.WARNING(f"warning: {warning}"))
        speed = f"{report.stats['seconds']:.2f} s, {report.stats['blocks_per_s']:.0f} blocks/s"
        if report.first_bad is None:
            self.stdout.write(
                self.style.SUCCESS(f"chain valid: {report.blocks_verified} block(s), newest {report.last_block_hash}")
            )
        else:
            bad = report.first_bad
            self.stdout.write(self.style.ERROR(f"chain INVALID at height {bad.height}: {bad.code}"))
            for name, text in (("field", bad.field), ("expected", bad.expected), ("actual", bad.actual)):
                self.stdout.write(f"  {name:<9} {printable(text)}")
            assert report.suspect_range is not None
            first, last = report.suspect_range
            self.stdout.write(
                f"  suspect   heights {first} to {last}; {report.blocks_verified} block(s) before are good"
            )
        if report.last_good_checkpoint is not None:
            size, signers = report.last_good_checkpoint["size"], ", ".join(report.last_good_checkpoint["cosigned_by"])
            cosigned = f", cosigned by {signers}" if signers else ""
            self.stdout.write(f"agrees with the checkpoint of {size} block(s){cosigned}")
        self.stdout.write(f"{report.unanchored} block(s) unanchored: no checkpoint that was given covers them")
        self.stdout.write(speed)

    def _tell_recomputation(self, found: RecomputationReport) -> None:
        style = self.style.SUCCESS if found.holds else self.style.ERROR
        self.stdout.write(
            style(f"recomputed: {found.matched} release(s) match, {len(found.differing)} differ")
            + f", {len(found.not_recomputable)} not recomputable"
        )
        if found.on_trust:
            self.stdout.write(f"  {found.on_trust} of them hold updates as the coordinator converted them")
        for each in found.differing:
            self.stdout.write(f"  height {each.height}: {each.field} is {each.actual}, the block says {each.expected}")
        for each in found.not_recomputable:
            self.stdout.write(f"  height {each.height}: {each.field}")


def _verify(options: Mapping[str, Any], held: Sequence[HeldCheckpoint]) -> Report:
    with _progress("verifying", newest_height() + 1, enabled=not options["json"]) as advance:
        clock = SystemClock()
        head, began_at = passes.Head.read(), clock.now()
        outcome = run_pass(
            clock=clock,
            genesis=options["genesis"],
            checkpoints=held,
            signatures_from=options["signatures_from"],
            progress=advance,
        )
    # That the chain is not what the caller holds of it is not what the others ask about.
    plain = options["genesis"] is None and not held
    if options["signatures_from"] == 0 and (plain or outcome.report.chain_valid):
        with contextlib.suppress(DatabaseError):  # a copy that may only be read is verified all the same
            passes.keep(
                outcome,
                head=head,
                began_at=began_at,
                source=passes.Source.COMMAND,
                actor="verify_chain",
                told=True,
                clock=clock,
            )
    return outcome.report


def _verify_export(options: Mapping[str, Any], held: Sequence[HeldCheckpoint]) -> Report:
    with options["export"].open("rb") as file:
        own = export.own_checkpoint(file)
        total = own[0].checkpoint.size if own else None  # of an export without a checkpoint nobody knows before its end
        with _progress("verifying", total, enabled=not options["json"]) as advance:
            return verify_chain(
                export.records(file),
                genesis=options["genesis"],
                tree=TreeWatch([*held, *own]),
                signatures_from=options["signatures_from"],
                now=SystemClock().now(),
                progress=advance,
            ).report


@contextlib.contextmanager
def _progress(what: str, total: int | None, *, enabled: bool) -> Iterator[Callable[[int], None] | None]:
    console = Console(stderr=True)
    if not enabled or not console.is_terminal:
        yield None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("blocks", total=total)
        yield lambda height: bar.update(task, completed=height + 1)


def _height(text: str) -> int:
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII):
        raise ArgumentTypeError(f"{text!r} is no height; expected a whole number from 0")
    return int(text)
