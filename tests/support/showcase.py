"""A lively federation for pages to show: ten days of rounds, made by the services as real ones are.

Every state is there that an operator must tell apart: organisations that are connected, silent, pending, suspended;
rounds that were released, failed, refused and left an update out; a withdrawn release, an open vote, shared detections,
a round that collects. `python -m tests.support.preview` serves it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

import ledger.selectors
from federation.models import ConfirmationRequest, Organization, SharedDetection, TrainingRound
from federation.services import confirmations, enrolment, enrolment_tokens, reconcile, rounds
from federation.services.detection_reviews import review_detection
from federation.services.detections import share_detection
from flxdr.core.clock import ManualClock, format_timestamp
from flxdr.notifications.services.review import review
from ledger.models import Proposal
from ledger.services import governance
from ledger.services.verified import verify_stored
from models_ml.codec import Int32
from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER, TGNN
from tests.support.detections import detection, signed_detection
from tests.support.federation import SimulatedFederation, config_of, shapes_of
from tests.support.vouching import attest, cosign

NAMES = {
    "bank-north": "Nordbank Computer Emergency Response",
    "energy-grid": "Continental Energy Grid Operators, Joint Security Operations Centre",
    "hospital-west": "Western Hospitals CERT",
    "isp-delta": "Delta Backbone",
    "port-authority": "Port Authority Cyber Defence",
    "university-lab": "University Network Laboratory",
}
QUIET = "university-lab"
OUTLIER = "isp-delta"
OPERATOR = "operator:alice"
Action = ConfirmationRequest.Action
SCALE = 2.0**-9
SHOWN: dict[str, Any] = {"privacy_mode": "record", "privacy_epsilon": 3.0, "training_rounds": 30}
"""Settings under which the showcase has most to show: rounds with noise, of a budget that they use up."""


@dataclass
class Showcase:
    """The federation, its clock, and what is worth opening."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime.now(UTC) - timedelta(days=10)))
    rounds: dict[str, TrainingRound] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.federation = SimulatedFederation(self.clock)

    def build(self) -> Showcase:
        """Live through the ten days; the last round is still open when this returns."""
        self._enrol()
        self.rounds["normaliser"] = self._train(EDGE_NORMALISER, quality=0.0)
        for number, quality in enumerate((0.61, 0.74, 0.80, 0.83)):
            self.rounds[f"classifier-{number + 1}"] = self._train(EDGE_CLASSIFIER, quality=quality)
        self.rounds["left out"] = self._train(
            EDGE_CLASSIFIER, quality=0.85, aggregation_params={"robust_method": "multi_krum"}, method="RobustAggregator"
        )
        self.rounds["refused"] = self._refused()
        self.rounds["failed"] = self._failed()
        review(clock=self.clock)
        for quality in (0.71, 0.86, 0.91):
            self.rounds["network"] = self._train(TGNN, quality=quality)
        self.rounds["withdrawn"] = self._train(EDGE_CLASSIFIER, quality=0.55)
        self._withdraw(EDGE_CLASSIFIER, 6)
        self.rounds["classifier"] = self._train(EDGE_CLASSIFIER, quality=0.88)
        self._vouch()
        self._share()
        self._present()
        review(clock=self.clock)
        return self

    def _enrol(self) -> None:
        for org_id, name in NAMES.items():
            (organization,) = self.federation.enrol(org_id)
            Organization.objects.filter(org_id=org_id).update(name=name)
            self._pass(hours=2)
            assert organization.row.status == Organization.Status.ACTIVE
        self._pass(hours=6)

    def _train(
        self,
        model: str,
        *,
        quality: float,
        method: str | None = None,
        aggregation_params: Mapping[str, int | str] | None = None,
    ) -> TrainingRound:
        started = rounds.start_round(
            actor=OPERATOR,
            model_name=model,
            aggregation_method=method,
            aggregation_params=aggregation_params,
            min_orgs=3,
            clock=self.clock,
        )
        self._submit(started, quality, tuple(NAMES))
        self._pass(minutes=9)
        self.federation.settle()
        self._pass(hours=7)
        started.refresh_from_db()
        assert started.status == TrainingRound.Status.COMPLETED, (started.failure_code, started.failure_reason)
        return started

    def _submit(self, started: TrainingRound, quality: float, org_ids: tuple[str, ...]) -> None:
        for organization in self.federation.organizations:
            if organization.org_id in org_ids:
                organization.submit_delta(
                    started,
                    _delta(started, organization.org_id),
                    samples=2_000 + 700 * len(organization.org_id),
                    metrics=_metrics(organization.org_id, quality),
                    privacy=config_of(started).privacy,
                )
                self._pass(minutes=1)

    def _refused(self) -> TrainingRound:
        started = rounds.start_round(actor=OPERATOR, model_name=EDGE_CLASSIFIER, min_orgs=3, clock=self.clock)
        self._submit(started, 0.41, tuple(NAMES))
        self.federation.work()
        proposal = Proposal.objects.get(status=Proposal.Status.OPEN)
        for organization in self.federation.organizations:
            proposal.refresh_from_db()
            if proposal.status == Proposal.Status.OPEN:
                organization.reject(proposal, "macro-F1 0.41 on our own records, the parent has 0.85")
        self._pass(hours=5)
        self.federation.work()
        started.refresh_from_db()
        assert started.status == TrainingRound.Status.FAILED
        return started

    def _failed(self) -> TrainingRound:
        started = rounds.start_round(
            actor=OPERATOR, model_name=EDGE_CLASSIFIER, min_orgs=4, timeout=3600, clock=self.clock
        )
        self._submit(started, 0.8, ("bank-north", "hospital-west"))
        self._pass(hours=2)
        reconcile.reconcile(clock=self.clock)
        started.refresh_from_db()
        assert started.status == TrainingRound.Status.FAILED
        return started

    def _withdraw(self, model: str, version: int) -> None:
        governance.propose_withdrawal(
            model_name=model,
            model_version=version,
            reason="false positives on backup traffic at three members",
            proposer=None,
            actor=OPERATOR,
            clock=self.clock,
        )
        self.federation.settle()
        self._pass(hours=3)

    def _vouch(self) -> None:
        """What agents do after the newest release: the quiet one approves late, some attest, most cosign."""
        sealed = Proposal.objects.get(round_id=self.rounds["classifier"].round_id, status=Proposal.Status.SEALED)
        prompt = [each for each in self.federation.organizations if each.org_id != QUIET]
        (quiet,) = (each for each in self.federation.organizations if each.org_id == QUIET)
        quiet.approve(sealed)
        assert sealed.height is not None
        attest(ledger.selectors.block_at(sealed.height), prompt[:3], clock=self.clock)
        cosign(prompt[:4], clock=self.clock)

    def _share(self) -> None:
        released = self.rounds["network"].result
        keyed = {organization.org_id: organization.key for organization in self.federation.organizations}
        for number, (org_id, family) in enumerate(
            (org_id, family) for family in ("Scan", "BruteForce", "C2") for org_id in ("bank-north", "isp-delta")
        ):
            key = keyed[org_id]
            assert key is not None
            seen = self.clock.now() - timedelta(minutes=40)
            changes: dict[str, Any] = {
                "family": family,
                "score_ppm": 999_000 - 31_000 * number,
                "flows": 400 + 900 * number,
                "first_seen": format_timestamp(seen),
                "last_seen": format_timestamp(seen + timedelta(minutes=9)),
                "model_name": released.model_name,
                "model_hash": released.model_hash,
                "block_height": released.block_height,
            }
            statement = detection(org_id, number, **changes)
            shared, _ = share_detection(org_id=org_id, signed=signed_detection(key, statement), clock=self.clock)
            self._pass(minutes=11)
            if family == "Scan":
                self._review(shared, "acknowledged", "asked the member for its sensor's place")
            if (family, org_id) == ("Scan", "isp-delta"):
                self._review(shared, "closed", "an agreed scan of a research project")

    def _review(self, shared: SharedDetection, state: str, note: str) -> None:
        review_detection(detection_id=shared.pk, state=state, note=note, actor=OPERATOR, clock=self.clock)
        self._pass(minutes=3)

    def _present(self) -> None:
        """What is so right now."""
        enrolment.register(
            org_id="rail-control",
            name="Rail Control Incident Response",
            data_sources={"zeek": "conn.log of two borders"},
            public_key_text=None,
            key_proof=None,
            enrolment_token=None,
            clock=self.clock,
        )
        # Development approves at once.
        Organization.objects.filter(org_id="rail-control").update(status=Organization.Status.PENDING)
        Organization.objects.create(
            org_id="water-works", name="Water Works", status=Organization.Status.ACTIVE, registered_at=self.clock.now()
        )
        Organization.objects.create(org_id="old-member", name="Old Member Ltd", status=Organization.Status.ACTIVE)
        enrolment.suspend(org_id="old-member", actor=OPERATOR, clock=self.clock)
        self.clock.advance(datetime.now(UTC) - self.clock.now())
        governance.propose_revocation(
            org_id=QUIET,
            key_id=self._key_of(QUIET),
            compromised_since=None,
            reason="the laptop with the key was stolen",
            proposer=None,
            actor=OPERATOR,
            clock=self.clock,
        )
        self._ask()
        verify_stored(clock=self.clock, actor=OPERATOR, full=True)
        opened = rounds.start_round(actor=OPERATOR, model_name=TGNN, min_orgs=3, timeout=7200, clock=self.clock)
        self._submit(opened, 0.93, ("bank-north", "energy-grid"))
        self.rounds["open"] = opened
        now = datetime.now(UTC)
        Organization.objects.filter(org_id__in=NAMES).update(last_seen_at=now)
        Organization.objects.filter(org_id=QUIET).update(last_seen_at=now - timedelta(hours=31))

    def _ask(self) -> None:
        """Requests of two operators: one is decided, two wait; and enrolment tokens, one of them expired."""
        ask = partial(confirmations.request_action, clock=self.clock)
        given_up = ask(
            action=Action.SUSPEND, subject="water-works", reason="no answer for a week", actor="operator:bob"
        )
        assert given_up is not None
        confirmations.cancel(request_id=given_up.pk, actor=OPERATOR, clock=self.clock)
        ask(action=Action.READMIT, subject="old-member", reason="they signed the new agreement", actor=OPERATOR)
        ask(
            action=Action.SUSPEND,
            subject=OUTLIER,
            reason="its updates are left out again and again, and nobody there answers the telephone",
            actor="operator:operator",
        )
        for org_id, days in (("metro-transit", 7), ("city-archive", 0.01)):
            enrolment_tokens.create_enrolment_token(
                org_id=org_id, lifetime=timedelta(days=days), actor=OPERATOR, clock=self.clock
            )

    def _key_of(self, org_id: str) -> str:
        key = next(each.key for each in self.federation.organizations if each.org_id == org_id)
        assert key is not None
        return key.public.key_id

    def _pass(self, **duration: float) -> None:
        self.clock.advance(timedelta(**duration))


def _delta(training_round: TrainingRound, org_id: str) -> dict[str, Int32]:
    """An update that resembles the others' of the round, except the outlier's."""
    common = np.random.default_rng(training_round.number)
    own = np.random.default_rng(int(hashlib.sha256(f"{org_id} {training_round.number}".encode()).hexdigest()[:12], 16))
    factor = -6.0 if org_id == OUTLIER and training_round.aggregation_method == "RobustAggregator" else 1.0
    delta: dict[str, Int32] = {}
    for name, shape in shapes_of(training_round.model_name).items():
        values = common.normal(size=shape) + 0.4 * own.normal(size=shape)
        delta[name] = np.rint(factor * values * SCALE * 2**24).astype(np.int32)
    return delta


def _metrics(org_id: str, quality: float) -> dict[str, float]:
    if not quality:
        return {}
    own = int(hashlib.sha256(org_id.encode()).hexdigest()[:4], 16) / 0xFFFF - 0.5
    return {
        "macro_binary_f1": round(quality + 0.04 * own, 4),
        "average_precision": round(min(quality + 0.07 + 0.02 * own, 0.999), 4),
        "loss": round(1.2 - quality + 0.05 * own, 4),
        **{
            f"recall.{family}": round(min(quality * ease + 0.05 * own, 1.0), 4)
            for family, ease in {"scan": 1.06, "bruteforce": 0.97, "c2": 0.82}.items()
        },
    }
