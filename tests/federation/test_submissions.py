"""Who may submit, where, once; and that nothing of a refused submission is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federation import errors
from federation.models import ModelVersion, Organization, Submission, TrainingRound
from federation.services import enrolment, rounds, submissions, update_values
from federation.services.received import FlatValues
from flxdr.core.canonical import digest
from flxdr.core.clock import ManualClock
from flxdr.core.keys import Algorithm, PrivateKey, SignatureInvalid
from flxdr.platform.storage.blobs import blobs
from models_ml import codec
from models_ml.fixed_point import SCALE
from tests.federation.conftest import Stored
from tests.federation.submitting import NORMALISER, normaliser_delta, refused
from tests.support.factories import GUIDE_WEIGHTS, json_update, tensor_update
from tests.support.federation import SimulatedFederation, SimulatedOrganization, shapes_of

pytestmark = pytest.mark.django_db


class TestAccepted:
    def test_json_lists_unsigned(self, alpha: SimulatedOrganization, opened: TrainingRound, clock: ManualClock) -> None:
        received = json_update(opened.round_id, "org-alpha")
        submission, created = submissions.submit(principal_org="org-alpha", received=received, clock=clock)
        assert created
        assert (submission.kind, submission.samples, bytes(submission.signature)) == ("weights", 1024, b"")
        assert submission.metrics == {"loss": 0.45, "accuracy": 0.92}
        assert submission.privacy == {"mechanism": "none"}
        assert submission.received_at == clock.now()
        assert blobs().get(submission.wire_digest) == received.body
        delta = codec.decode(blobs().get(submission.update_digest))
        assert np.array_equal(delta["weights"], np.rint(np.array(GUIDE_WEIGHTS) * SCALE))
        assert Organization.objects.get(org_id="org-alpha").last_update_at == clock.now()

    @pytest.mark.parametrize("algorithm", Algorithm)
    def test_signed_tensors(self, federation: SimulatedFederation, clock: ManualClock, algorithm: Algorithm) -> None:
        (alpha, _) = federation.enrol("org-alpha", "org-beta", algorithm=algorithm)
        started = rounds.start_round(actor="operator", model_name=NORMALISER, clock=clock)
        submission = alpha.submit_delta(started, normaliser_delta())
        assert alpha.key is not None
        assert submission.key_id == alpha.key.public.key_id
        assert submission.update_digest == submission.wire_digest

    def test_tensors_with_a_bare_statement_from_an_organization_without_a_key(
        self, beta: SimulatedOrganization, normaliser: TrainingRound
    ) -> None:
        submission = beta.submit_delta(normaliser, normaliser_delta())
        assert (submission.key_id, bool(submission.statement)) == ("", True)

    def test_a_flat_vector_is_all_tensors_in_name_order(
        self, alpha: SimulatedOrganization, normaliser: TrainingRound
    ) -> None:
        size = sum(int(np.prod(shape)) for shape in shapes_of(NORMALISER).values())
        vector = np.arange(size, dtype=np.int32)
        received = tensor_update(
            normaliser.round_id, "org-alpha", normaliser_delta(), payload=FlatValues(vector), kind="delta"
        )
        submission = alpha.submit(alpha.signed(received))
        assert np.array_equal(codec.flatten(codec.decode(blobs().get(submission.update_digest))), vector)

    def test_weights_are_taken_relative_to_the_parent(
        self, alpha: SimulatedOrganization, normaliser: TrainingRound
    ) -> None:
        parent = ModelVersion.objects.get(model_name=NORMALISER)
        weights = {name: array + 3 for name, array in codec.decode(blobs().get(parent.blob_digest)).items()}
        received = tensor_update(normaliser.round_id, "org-alpha", weights, kind="weights")
        submission = alpha.submit(alpha.signed(received))
        delta = codec.decode(blobs().get(submission.update_digest))
        assert all((array == 3).all() for array in delta.values())


class TestRetries:
    def test_the_same_bytes_are_the_same_submission(
        self, alpha: SimulatedOrganization, opened: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        received = json_update(opened.round_id, "org-alpha")
        first = alpha.submit(received)
        before = stored.count()
        again, created = submissions.submit(principal_org="org-alpha", received=received, clock=clock)
        assert (again.gradient_id, created) == (first.gradient_id, False)
        assert stored.count() == before

    def test_even_after_the_round_went_on(
        self, pair: SimulatedFederation, alpha: SimulatedOrganization, opened: TrainingRound, clock: ManualClock
    ) -> None:
        received = json_update(opened.round_id, "org-alpha")
        first = alpha.submit(received)
        pair.organizations[1].submit(json_update(opened.round_id, "org-beta"))
        pair.settle()
        again, created = submissions.submit(principal_org="org-alpha", received=received, clock=clock)
        assert (again.pk, created) == (first.pk, False)

    def test_other_bytes_are_refused_before_their_content_is_looked_at(
        self, alpha: SimulatedOrganization, opened: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        first = alpha.submit(json_update(opened.round_id, "org-alpha"))
        other = json_update(opened.round_id, "org-alpha", [[float("nan")]])
        error = refused(other, clock, stored, errors.AlreadySubmitted)
        assert error.fields["gradient_id"] == first.gradient_id


class TestWhoAndWhere:
    def test_for_another_organization(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        received = json_update(opened.round_id, "org-alpha")
        refused(received, clock, stored, errors.NotYourOrganization, as_org="org-beta")

    def test_unknown_organization(self, opened: TrainingRound, clock: ManualClock, stored: Stored) -> None:
        refused(json_update(opened.round_id, "org-nobody"), clock, stored, errors.OrganizationMissing)

    def test_suspended_organization(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        enrolment.suspend(org_id="org-beta", actor="operator", clock=clock)
        refused(json_update(opened.round_id, "org-beta"), clock, stored, errors.OrganizationInactive)

    def test_unknown_round(self, pair: SimulatedFederation, clock: ManualClock) -> None:
        with pytest.raises(errors.RoundMissing):
            submissions.submit(principal_org="org-beta", received=json_update("round-1-nope", "org-beta"), clock=clock)

    def test_not_a_participant(
        self, federation: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        federation.enrol("org-late", algorithm=None)
        refused(json_update(opened.round_id, "org-late"), clock, stored, errors.NotAParticipant)

    def test_after_the_deadline(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        clock.advance(timedelta(seconds=600))
        refused(json_update(opened.round_id, "org-beta"), clock, stored, errors.RoundClosed)

    def test_after_the_round_ended(
        self, pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        rounds.abort_round(round_id=opened.round_id, actor="operator", reason="x", clock=clock)
        error = refused(json_update(opened.round_id, "org-beta"), clock, stored, errors.RoundClosed)
        assert error.fields["round_status"] == "failed"

    def test_a_round_that_ends_while_the_update_is_checked(
        self,
        pair: SimulatedFederation,
        opened: TrainingRound,
        clock: ManualClock,
        data_dir: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        checked_norm = update_values.checked_norm

        def meanwhile(*arguments: Any) -> float:
            rounds.abort_round(round_id=opened.round_id, actor="operator", reason="x", clock=clock)
            return checked_norm(*arguments)

        monkeypatch.setattr(update_values, "checked_norm", meanwhile)
        with pytest.raises(errors.RoundClosed):
            pair.organizations[1].submit(json_update(opened.round_id, "org-beta"))
        assert not Submission.objects.exists()
        assert not list((data_dir / "blobs").rglob("*"))


class TestStatement:
    @pytest.mark.parametrize(
        "other",
        [
            {"chain_id": "0" * 64},
            {"round_id": "round-2-other"},
            {"config_hash": "0" * 64},
            {"org": "org-beta"},
            {"parent_hash": None},
            {"kind": "weights"},
            {"samples": 1},
            {"privacy": {"mechanism": "gaussian"}},
            {"wire_digest": "0" * 64},
            {"metrics": {"loss": 0.1}},
        ],
    )
    def test_every_field_is_compared(
        self,
        alpha: SimulatedOrganization,
        normaliser: TrainingRound,
        clock: ManualClock,
        stored: Stored,
        other: dict[str, Any],
    ) -> None:
        received = tensor_update(normaliser.round_id, "org-alpha", normaliser_delta())
        error = refused(alpha.signed(received, **other), clock, stored, errors.StatementMismatch)
        assert [error.fields["field"]] == list(other)

    @pytest.mark.parametrize("statement", [b"", b"{}x", b"[]", b'{"v":1.0}'])
    def test_it_is_canonical(
        self,
        alpha: SimulatedOrganization,
        normaliser: TrainingRound,
        clock: ManualClock,
        stored: Stored,
        statement: bytes,
    ) -> None:
        received = tensor_update(normaliser.round_id, "org-alpha", normaliser_delta())
        before = stored.count()
        with pytest.raises(errors.StatementMalformed):
            submissions.submit(principal_org="org-alpha", received=replace(received, statement=statement), clock=clock)
        assert stored.count() == before

    def test_who_has_a_key_signs(
        self, alpha: SimulatedOrganization, normaliser: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        received = alpha.signed(tensor_update(normaliser.round_id, "org-alpha", normaliser_delta()))
        bare = replace(received, signature=None, key_id=None)
        refused(bare, clock, stored, errors.SignatureRequired)

    def test_with_the_registered_key(
        self, alpha: SimulatedOrganization, normaliser: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        received = tensor_update(normaliser.round_id, "org-alpha", normaliser_delta())
        thief = SimulatedOrganization("org-alpha", clock, PrivateKey(Algorithm.ED25519, b"t" * 32))
        assert alpha.key is not None
        refused(thief.signed(received), clock, stored, errors.UnknownKey)
        under_its_name = replace(thief.signed(received), key_id=alpha.key.public.key_id)
        with pytest.raises(SignatureInvalid):
            submissions.submit(principal_org="org-alpha", received=under_its_name, clock=clock)

    def test_who_has_no_key_cannot_sign(
        self, beta: SimulatedOrganization, normaliser: TrainingRound, clock: ManualClock, stored: Stored
    ) -> None:
        signer = SimulatedOrganization("org-beta", clock, PrivateKey(Algorithm.ED25519, b"n" * 32))
        received = tensor_update(normaliser.round_id, "org-beta", normaliser_delta())
        refused(signer.signed(received), clock, stored, errors.UnknownKey)


def test_submissions_are_counted_once(alpha: SimulatedOrganization, opened: TrainingRound) -> None:
    alpha.submit(json_update(opened.round_id, "org-alpha"))
    assert Submission.objects.count() == 1
    assert digest(json_update(opened.round_id, "org-alpha").body) == Submission.objects.get().wire_digest
