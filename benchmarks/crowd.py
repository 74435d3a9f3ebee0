"""A coordinator's database as it is after years: 1,000 organisations, 10,000 rounds, 100,000 blocks.

Rows are generated in bulk and signatures are zeros: what is measured over them reads, it does not verify.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from benchmarks.chain import generate
from benchmarks.ledger_stored import GOVERNED, extend, found
from flxdr.core.clock import SystemClock, format_timestamp
from flxdr.core.keys import Algorithm

ORGANIZATIONS, ROUNDS, BLOCKS = 1_000, 10_000, 100_000
PARTICIPANTS = 10
"""Of every round but the newest, which has everybody: 100,000 parts."""
CHARGED = 30
"""Rounds that every organisation's budget was charged for."""
EVENTS, DETECTIONS = 200_000, 10_000
MODELS = ("edge-classifier", "tgnn")
BATCH = 2_000


def populate() -> None:
    """Fill the (migrated, otherwise empty) database."""
    from federation.models import Organization, TrainingRound  # noqa: PLC0415 (after Django is set up, like all below)

    now = datetime.now(UTC)
    config = _config()
    records = generate(BLOCKS, Algorithm.ED25519, genuine=False)
    found(islice(records, GOVERNED))
    extend(records)
    Organization.objects.bulk_create(_organizations(now), batch_size=BATCH)
    organizations = list(Organization.objects.filter(org_id__startswith="crowd-").values_list("pk", flat=True))
    TrainingRound.objects.bulk_create(_rounds(config, now), batch_size=BATCH)
    rounds = list(TrainingRound.objects.filter(round_id__startswith="crowd-").order_by("pk"))
    _parts(rounds, organizations)
    _versions(rounds)
    _charges(rounds)
    _events(rounds, now)
    _detections(organizations[0], now)


def _config() -> bytes:
    """The canonical configuration of a round that was really started."""
    from federation.models import TrainingRound  # noqa: PLC0415
    from federation.services import rounds  # noqa: PLC0415
    from tests.support.federation import SimulatedFederation  # noqa: PLC0415

    clock = SystemClock()
    SimulatedFederation(clock).enrol("org-a", "org-b", algorithm=None)
    started = rounds.start_round(actor="operator:benchmark", model_name=MODELS[0], clock=clock)
    rounds.abort_round(round_id=started.round_id, actor="operator:benchmark", reason="its form is kept", clock=clock)
    return bytes(TrainingRound.objects.values_list("config", flat=True).get(pk=started.pk))


def _organizations(now: datetime) -> Iterator[Any]:
    from federation.models import Organization  # noqa: PLC0415

    special = {1: Organization.Status.PENDING, 2: Organization.Status.SUSPENDED}
    for number in range(ORGANIZATIONS):
        status = special.get(number % 50, Organization.Status.ACTIVE)
        yield Organization(
            org_id=f"crowd-{number:04}",
            name=f"Organisation {number} of the crowd",
            status=status,
            last_seen_at=now - timedelta(seconds=7 * number) if number % 7 else None,
            accepted_count=number,
        )


def _rounds(config: bytes, now: datetime) -> Iterator[Any]:
    from federation.models import TrainingRound  # noqa: PLC0415

    status = TrainingRound.Status
    for number in range(ROUNDS):
        is_newest, has_failed = number == ROUNDS - 1, number % 20 == 3
        started = now - timedelta(hours=ROUNDS - number)
        yield TrainingRound(
            round_id=f"crowd-{number}",
            number=number + 10,
            model_name=MODELS[number % 2],
            status=status.IN_PROGRESS if is_newest else status.FAILED if has_failed else status.COMPLETED,
            config=config,
            config_hash="c0" * 32,
            aggregation_method="FedProx",
            protection="plain",
            min_orgs=2,
            started_at=started,
            deadline=started + timedelta(hours=2),
            closed_at=None if is_newest else started + timedelta(minutes=10),
            finished_at=None if is_newest else started + timedelta(minutes=11),
            failure_code="too_few_submissions" if has_failed else "",
            failure_reason="2 of 10" if has_failed else "",
            convergence_metric=1.0 / (number + 1),
            metrics={"macro_binary_f1": 0.5 + 0.4 * number / ROUNDS, "loss": 1.0 - 0.5 * number / ROUNDS},
        )


def _parts(rounds: list[Any], organizations: list[int]) -> None:
    from federation.models import Participant  # noqa: PLC0415

    def parts() -> Iterator[Participant]:
        for index, each in enumerate(rounds):
            newest = index == len(rounds) - 1
            chosen = organizations if newest else [organizations[(index + step) % 1000] for step in range(PARTICIPANTS)]
            for organization in chosen:
                yield Participant(
                    training_round=each,
                    organization_id=organization,
                    status="expected" if newest else "submitted",
                    update_norm=None if newest else 0.5,
                    anomaly_score=None if newest else (organization % 13) / 10,
                )

    Participant.objects.bulk_create(parts(), batch_size=BATCH)


def _versions(rounds: list[Any]) -> None:
    from federation.models import ModelVersion  # noqa: PLC0415

    completed = [each for each in rounds if each.status == "completed"]
    ModelVersion.objects.bulk_create(
        (
            ModelVersion(
                model_name=each.model_name,
                version=number + 1,
                model_hash=f"{number:064x}",
                blob_digest=f"{number:064x}",
                schema=[],
                status="released",
                training_round=each,
                block_height=GOVERNED + number,
            )
            for number, each in enumerate(completed)
        ),
        batch_size=BATCH,
    )


def _charges(rounds: list[Any]) -> None:
    from privacy.models import BudgetAccount, BudgetEntry  # noqa: PLC0415

    noise = {"mechanism": "sampled_gaussian", "sensitivity_ppm": 1_000_000, "delta_ppt": 10_000_000}
    names = [f"crowd-{number:04}" for number in range(ORGANIZATIONS)]
    BudgetAccount.objects.bulk_create((BudgetAccount(org_id=name) for name in names), batch_size=BATCH)

    def entries() -> Iterator[BudgetEntry]:
        for index, name in enumerate(names):
            for each in rounds[: CHARGED - index % 3]:
                yield BudgetEntry(
                    account_id=name,
                    round_id=each.round_id,
                    kind="reserved",
                    sigma_ppm=9_000_000 + 1_000_000 * (index % 5),
                    sampling_ppm=10_000,
                    steps=100,
                    recorded_at=each.started_at,
                    **noise,
                )

    BudgetEntry.objects.bulk_create(entries(), batch_size=BATCH)
    reserved = BudgetEntry.objects.filter(kind="reserved").order_by("pk")

    def closings() -> Iterator[BudgetEntry]:
        for entry in reserved.iterator():
            yield BudgetEntry(
                account_id=entry.account_id,
                round_id=entry.round_id,
                kind="spent",
                reservation=entry,
                sigma_ppm=entry.sigma_ppm,
                sampling_ppm=entry.sampling_ppm,
                steps=entry.steps,
                recorded_at=entry.recorded_at + timedelta(minutes=11),
                **noise,
            )

    BudgetEntry.objects.bulk_create(closings(), batch_size=BATCH)


def _events(rounds: list[Any], now: datetime) -> None:
    from flxdr.platform.models import AuditEvent  # noqa: PLC0415

    kinds = ("round.started", "submission.accepted", "round.transition", "block.sealed")
    AuditEvent.objects.bulk_create(
        (
            AuditEvent(
                kind=kinds[number % 4],
                actor=f"crowd-{number % 1000:04}",
                subject=rounds[number % len(rounds)].round_id,
                data={"number": number},
                at=now - timedelta(minutes=EVENTS - number),
            )
            for number in range(EVENTS)
        ),
        batch_size=BATCH,
    )


def _detections(organization: int, now: datetime) -> None:
    from federation.models import SharedDetection  # noqa: PLC0415
    from tests.support.detections import alert_id, detection  # noqa: PLC0415

    seen = format_timestamp(now)
    statement = detection("crowd-0000", 0, first_seen=seen, last_seen=seen)
    SharedDetection.objects.bulk_create(
        (
            SharedDetection(
                organization_id=organization,
                alert_id=alert_id(number),
                family=("Scan", "C2", "BruteForce")[number % 3],
                technique="T1046",
                score_ppm=900_000 + number,
                flows=number + 1,
                first_seen=now,
                last_seen=now,
                model_name="tgnn",
                model_hash="9f" * 32,
                block_height=None,
                statement=statement,
                signature=b"\0" * 64,
                key_id="00" * 32,
                received_at=now - timedelta(minutes=number),
            )
            for number in range(DETECTIONS)
        ),
        batch_size=BATCH,
    )
