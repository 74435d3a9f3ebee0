"""What the coordinator stores and logs of a masked round does not hold an update, nor what would unmask one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federation.agent import training
from federation.agent.masking.book import JoinedRound, MaskingBook
from federation.agent.session import Agent
from federation.masking import scaling
from federation.masking.roster import Advertisement, Roster
from federation.masking.steps import Step
from federation.models import TrainingRound
from federation.selectors.masking import Collection
from federation.services import rounds
from flxdr.core.clock import SystemClock
from flxdr.core.dsse import encode_base64
from flxdr.platform.storage.blobs import blobs
from models_ml import codec
from models_ml.codec import Int32
from models_ml.tasks import LocalUpdate
from privacy.secagg import shamir
from privacy.secagg.group import Group
from privacy.secagg.secrets import Secrets
from privacy.secagg.shamir import SHARE_BYTES
from tests.agent.masking.traces import chi_square, everything, forms, found, runs
from tests.agent.real_federation import Federation

ORGS = ("org-a", "org-b", "org-c", "org-d")
DROPPED = "org-d"
UNIFORM = 255 + 6 * 23


@dataclass
class Captured:
    """What the agents keep to themselves: the seeds of a masked round, and their trained updates by model."""

    seeds: dict[str, bytes] = field(default_factory=dict)
    updates: dict[tuple[str, str], Int32] = field(default_factory=dict)

    def secrets(self, org_id: str) -> Secrets:
        return Secrets.from_seed(self.seeds[org_id])

    def of(self, model: str) -> list[Int32]:
        return [update for (_, trained), update in self.updates.items() if trained == model]


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Captured:
    kept = Captured()
    join, train = MaskingBook.join, training.train

    def joining(book: MaskingBook, joined: JoinedRound) -> None:
        kept.seeds[Advertisement.parse(joined.statement).org] = joined.seed
        join(book, joined)

    def trained(agent: Agent, config: Any, *rest: Any) -> LocalUpdate:
        update = train(agent, config, *rest)
        kept.updates[agent.org_id, config.model_name] = codec.flatten(update.delta)
        return update

    monkeypatch.setattr(MaskingBook, "join", joining)
    monkeypatch.setattr(training, "train", trained)
    return kept


def masked_without_one(federation: Federation, model: str) -> tuple[TrainingRound, Roster]:
    """A masked round of four, released without the one that shared its secrets and sent no update."""
    round_id = federation.start_round(model, protection="secagg")
    present = list(ORGS)
    training_round = TrainingRound.objects.get(round_id=round_id)
    while training_round.status == "in_progress":
        federation.turn(*present)
        training_round.refresh_from_db()
        if training_round.step == Step.MASKED_INPUT and DROPPED in present:
            present.remove(DROPPED)
            federation.turn(*present)
            TrainingRound.objects.filter(round_id=round_id).update(deadline=SystemClock().now())
            rounds.close_collection(round_id=round_id, clock=SystemClock())
    federation.turn(*present)
    training_round.refresh_from_db()
    assert training_round.status == "completed"
    assert training_round.masked_means.get().organizations == list(ORGS[:3])
    return training_round, Collection.of(training_round).roster


def shares(secrets: Secrets, group: Group, kind: str) -> list[bytes]:
    """Every party's share of one of the two secrets."""
    secret = {"self seed": secrets.self_seed, "mask key": secrets.mask_private}[kind]
    points = shamir.split(int.from_bytes(secret, "big"), secrets.first_shares(kind, group), len(group.parties))
    return [point.to_bytes(SHARE_BYTES, "big") for point in points]


def masked_forms(updates: Iterable[tuple[Int32, int]], frac_bits: int) -> list[bytes]:
    """Updates in every form between training and masking: as trained, in the round's units, and weighted."""
    return [
        form
        for update, weight in updates
        for values in (update, update >> 2, scaling.weighted(update, weight, frac_bits))
        for form in forms(values.astype(np.int64))
    ]


def test_nothing_that_the_coordinator_keeps_reveals_an_update(
    federation: Federation, captured: Captured, data_dir: Path, logged: list[logging.LogRecord]
) -> None:
    for org_id in ORGS:
        federation.enrol(org_id, "--algorithm", "Ed25519")
        federation.turn(*ORGS[: ORGS.index(org_id)])
    training_round, roster = masked_without_one(federation, "edge-classifier")
    group = roster.group_of("org-a")
    kept = everything(data_dir, logged)

    updates = [(captured.updates[org_id, "edge-classifier"], roster.weights[org_id]) for org_id in ORGS]
    assert not found(runs(masked_forms(updates, roster.config.frac_bits)), kept)
    for org_id in ORGS:
        secrets = captured.secrets(org_id)
        never = [captured.seeds[org_id], secrets.self_seed, secrets.mask_private, secrets.share_private]
        assert not found(runs([*never, secrets.sharing_seed]), kept)
        given, withheld = ("mask key", "self seed") if org_id == DROPPED else ("self seed", "mask key")
        assert not found(runs(shares(secrets, group, withheld)), kept)
        assert found(runs(shares(secrets, group, given)), kept)

    stored = b"".join(blobs().get(row.update_digest) for row in training_round.submissions.all())
    assert len(stored) == 3 * 4 * updates[0][0].size
    assert chi_square(stored) < UNIFORM


def test_what_is_sent_in_the_clear_is_found(
    federation: Federation, captured: Captured, data_dir: Path, logged: list[logging.LogRecord]
) -> None:
    for org_id in ORGS[:2]:
        federation.enrol(org_id, "--algorithm", "Ed25519")
        federation.turn(*ORGS[: ORGS.index(org_id)])
    federation.start_round("edge-classifier", min_orgs_required=2)
    federation.turn(*ORGS[:2])
    assert any("submission.accepted" in str(vars(record)) for record in logged)
    sought = runs([update.tobytes() for update in captured.of("edge-classifier")])
    assert len(sought) > 1_000
    assert found(sought, everything(data_dir, logged)) == sought
    submissions = TrainingRound.objects.get().submissions.all()
    assert chi_square(b"".join(blobs().get(row.update_digest) for row in submissions)) > 10 * UNIFORM


@pytest.mark.parametrize("written", [bytes.hex, encode_base64])
def test_the_search_reads_hexadecimal_and_base64(written: Callable[[bytes], str]) -> None:
    secret = bytes(range(100, 132))
    for shift in range(4):
        text = f'level=debug seed="{written(bytes(shift) + secret)}" event=seen'
        assert found(runs([secret]), [text.encode()]) == runs([secret])
