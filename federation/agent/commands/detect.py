"""`detect`: alerts on this organisation's own flows, by a model that a block vouches for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from federation.agent.commands.options import DEFAULT_HOME, Home, Json, opened
from federation.agent.commands.signals import stopping_on_signals
from federation.agent.detection import reading
from federation.agent.detection.addresses import AddressBook
from federation.agent.detection.alerts import ENDED, OPEN, Alert, Alerts, Voucher
from federation.agent.detection.choice import choose_model, choose_policy
from federation.agent.detection.detector import Detector
from federation.agent.detection.following import Following
from federation.agent.detection.incidents import Incident
from federation.agent.detection.reading import FlowSource
from federation.agent.detection.scorers import scorer_for
from federation.agent.detection.thresholds import threshold_for
from federation.agent.detection.writing import Form, JsonLines, Table, Writer
from federation.agent.errors import StopRequested, UsageInvalid
from federation.agent.evaluation import LATEST
from federation.agent.records import AUTO, RecordSource
from federation.agent.session import Agent
from models_ml.adapters import FORMATS, ReadReport
from models_ml.adapters.hosts import Pseudonyms

WINDOW = 600.0
"""Seconds of flows that one alert sums up."""
LATENCY = 1.0
"""Seconds after which `--follow` scores what has come."""


def detect(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE|-", help="Flow records: plain or gzip; - is standard input.")],
    model: Annotated[str, typer.Option("--model", help=f"{LATEST}, a model hash, or a file.")] = LATEST,
    form: Annotated[str, typer.Option("--format", help=f"{AUTO}, {', '.join(FORMATS)}.")] = AUTO,
    output: Annotated[Form, typer.Option("--output", help="How alerts are written to standard output.")] = Form.JSONL,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is written next, through the log's rotation.")
    ] = False,
    latency: Annotated[
        float, typer.Option("--latency", min=0.05, help="With --follow: seconds until what has come is scored.")
    ] = LATENCY,
    window: Annotated[float, typer.Option("--window", min=1, help="Seconds that one alert sums up at most.")] = WINDOW,
    min_score: Annotated[
        float, typer.Option("--min-score", min=0, max=1, help="Leave out flows that score lower.")
    ] = 0.0,
    explain: Annotated[bool, typer.Option("--explain", help="Tell in words what drove each score.")] = False,
    reveal_hosts: Annotated[
        bool, typer.Option("--reveal-hosts", help="Add the hosts' addresses; such alerts are for this machine alone.")
    ] = False,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Raise alerts on flows: one for each source host, family and window. They stay here; `share` can tell of one.

    With --follow an alert comes twice: `open` at its first flows, and `ended` with its final counts.
    """
    with opened(context, home, machine) as agent:
        if form not in (AUTO, *FORMATS):
            raise UsageInvalid(f"no format {form!r}", expected=" | ".join((AUTO, *FORMATS)))
        records = RecordSource(agent.config.data, agent.home.folder, agent.key)
        found = choose_model(agent, model)
        threshold = threshold_for(agent, found, records)
        how = records.reading
        book = AddressBook(how.pseudonym_key or b"", how.is_listed) if reveal_hosts else None
        source = FlowSource(file, "" if form == AUTO else form, how, book)
        recommender, policy = choose_policy(agent)
        alerts = Alerts(
            Voucher(found, threshold.is_calibrated),
            recommender,
            policy,
            key=agent.key,
            window=window,
            crown_jewels=_pseudonyms(agent.config.detection.crown_jewels, how.pseudonym_key or b""),
            clock=agent.clock,
            addresses=None if book is None else book.of,
            explain=explain,
            embeddings=records.host_embeddings,
        )
        detector = Detector(scorer_for(found), threshold.calibration, window=window, minimum=min_score, explain=explain)
        run = _Run(agent, detector, alerts, _writer(agent, output, at_once=follow))
        try:
            with stopping_on_signals():
                if follow:
                    run.follow(Following(source, wait=latency), window)
                else:
                    run.whole(source)
        except StopRequested:
            agent.output.event("stopped", "Stopped before the end of the flows; no alert is complete.")
            raise typer.Exit(1) from None


@dataclass
class _Run:
    """One run of the command."""

    agent: Agent
    detector: Detector
    alerts: Alerts
    writer: Writer
    written: int = 0

    def whole(self, source: FlowSource) -> None:
        """A file or a pipe to its end; alerts come at the end, when all of their flows are known."""
        began, report = time.monotonic(), source.report()
        for piece in reading.whole(source, report):
            self.detector.take(piece)
            self._write(self.detector.incidents.end_surplus(), ENDED)
        self._write(self.detector.incidents.end_all(), ENDED)
        self._close([report], began)

    def follow(self, following: Following, window: float) -> None:
        """A log that grows, until a signal, or a pipe until its end."""
        began = last_flow = time.monotonic()
        known: set[Any] = set()
        try:
            for piece in following.pieces():
                grown = self.detector.take(piece)
                if len(piece):
                    last_flow = time.monotonic()
                self._write([incident for incident in grown if incident.key not in known], OPEN)
                known |= {incident.key for incident in grown}
                ended = list(self._ended(idle=time.monotonic() - last_flow > window))
                self._write(ended, ENDED)
                known -= {incident.key for incident in ended}
        except StopRequested:
            self.agent.output.event("stopped", "Stopped.")
        self._write(self.detector.incidents.end_all(), ENDED)
        self._close(following.reports, began)

    def _ended(self, *, idle: bool) -> Iterator[Incident]:
        # A sensor whose clock runs ahead must not end everybody else's incidents.
        now = min(self.detector.counts.newest, self.agent.clock.now().timestamp())
        yield from self.detector.incidents.end_all() if idle else self.detector.incidents.end_before(now)
        yield from self.detector.incidents.end_surplus()

    def _write(self, incidents: Sequence[Incident], status: str) -> None:
        made: list[Alert] = [self.alerts.of(incident, status) for incident in incidents]
        self.writer.write(made)
        self.written += sum(1 for alert in made if alert["status"] == ENDED)

    def _close(self, reports: Sequence[ReadReport], began: float) -> None:
        self.writer.close()
        output, seconds = self.agent.output, time.monotonic() - began
        for report in reports:
            for bad in report.examples[:3]:
                output.warn(f"{report.source}:{bad.number}: {bad.reason}")
        malformed, flows = sum(report.malformed for report in reports), self.detector.counts.flows
        output.event(
            "finished",
            f"{flows} flows, {malformed} bad lines, {self.written} alerts in {seconds:.1f} s",
            flows=flows,
            malformed=malformed,
            alerts=self.written,
            seconds=round(seconds, 3),
        )


def _writer(agent: Agent, form: Form, *, at_once: bool) -> Writer:
    if form is Form.TABLE:
        return Table(at_once=at_once)
    if form is Form.STIX:
        scope = agent.state.pin("chain_id") or "local"
        stix = import_module("federation.agent.detection.stix_writing")
        writer: Writer = stix.Stix(org_id=agent.org_id, org_name=agent.config.name, scope=scope, at_once=at_once)
        return writer
    return JsonLines()


def _pseudonyms(addresses: Sequence[str], key: bytes) -> frozenset[int]:
    made = Pseudonyms(key)
    return frozenset(made.of(address) for address in addresses)
