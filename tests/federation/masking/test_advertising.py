"""Joining a masked round: whose keys come into its roster, and whose do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from federation import errors
from federation.masking.steps import Step
from flxdr.core import canonical, dsse
from flxdr.core.keys import Algorithm, PrivateKey, SignatureInvalid
from privacy.errors import GroupInvalid
from tests.federation.masking.conftest import NAMES
from tests.federation.masking.refusals import Refusals
from tests.privacy.secagg.test_group import SMALL_ORDER, TWICE_ENCODED
from tests.support.masking import MaskedRound

pytestmark = pytest.mark.django_db


def test_useless_keys_are_refused_and_the_round_goes_on(masked: MaskedRound, refused: Refusals) -> None:
    for name in ("mask_key", "share_key"):
        for key in (*SMALL_ORDER, *TWICE_ENCODED):
            with refused(GroupInvalid, f"{name} of 'org-a'"):
                masked["org-a"].advertise(masked["org-a"].advertisement(**{name: bytes.fromhex(key)}))
    assert masked.collect().status == "aggregating"


def test_nobody_takes_a_key_that_another_one_advertised(masked: MaskedRound, refused: Refusals) -> None:
    first, second = masked["org-a"], masked["org-b"]
    first.advertise()
    for taken in (first.secrets.mask_key, first.secrets.share_key):
        for name in ("mask_key", "share_key"):
            with refused(errors.RosterInvalid, "used twice"):
                second.advertise(second.advertisement(**{name: taken}))
    with refused(errors.RosterInvalid, "used twice"):
        second.advertise(second.advertisement(share_key=second.secrets.mask_key))
    assert masked.collect().status == "aggregating"


def test_an_advertisement_for_something_else_is_refused(masked: MaskedRound, refused: Refusals) -> None:
    alpha = masked["org-a"]
    config = alpha.config
    for changed in (
        replace(config, round_id="round-2-0"),
        replace(config, chain_id="0" * 64),
        replace(config, parent_hash="0" * 64),
        replace(config, min_orgs=config.min_orgs + 1),
        replace(config, privacy={"mechanism": "other"}),
    ):
        with refused(errors.RosterInvalid, "advertises for another"):
            alpha.advertise(alpha.advertisement(config=changed))
    with refused(errors.StatementMismatch, "org-b"):
        alpha.advertise(alpha.advertisement(org="org-b"))
    for samples in (0, 2**31 + 1):
        with refused(errors.SamplesInvalid):
            alpha.advertise(alpha.advertisement(samples=samples))


def test_an_advertisement_in_another_form_is_refused(masked: MaskedRound, refused: Refusals) -> None:
    alpha = masked["org-a"]
    said = canonical.decode(alpha.advertisement().statement)
    changes: tuple[Any, ...] = (
        said | {"more": 1},
        said | {"v": 2},
        said | {"samples": "7"},
        said | {"mask_key": said["mask_key"].upper()},
        said | {"share_key": said["share_key"][:-2]},
        {name: value for name, value in said.items() if name != "seed_commitment"},
        [],
    )
    for changed in changes:
        with refused(errors.StatementMalformed):
            alpha.advertise(alpha.signed(canonical.encode(changed), dsse.ADVERTISEMENT_TYPE))
    with refused(errors.StatementMalformed):
        alpha.advertise(alpha.signed(b" " + canonical.encode(said), dsse.ADVERTISEMENT_TYPE))


def test_only_its_own_key_signs_an_advertisement(masked: MaskedRound, refused: Refusals) -> None:
    alpha, beta = masked["org-a"], masked["org-b"]
    honest = alpha.advertisement()
    with refused(errors.UnknownKey):
        alpha.advertise(beta.signed(honest.statement, dsse.ADVERTISEMENT_TYPE))
    stranger = PrivateKey.generate(Algorithm.ED25519)
    with refused(SignatureInvalid):
        alpha.advertise(replace(honest, signature=dsse.sign(stranger, dsse.ADVERTISEMENT_TYPE, honest.statement)))
    with refused(SignatureInvalid):
        alpha.advertise(alpha.signed(honest.statement, dsse.SUBMISSION_TYPE))


def test_the_first_advertisement_counts(masked: MaskedRound, refused: Refusals) -> None:
    alpha = masked["org-a"]
    assert alpha.advertise()
    assert not alpha.advertise()
    with refused(errors.AlreadyAnswered):
        alpha.advertise(alpha.advertisement(samples=7))
    masked.absent = {"org-e": Step.ADVERTISE}
    masked.answer(Step.ADVERTISE)
    assert not alpha.advertise()
    with refused(errors.StepClosed):
        masked["org-e"].advertise()
    assert list(masked["org-b"].roster.statements) == list(NAMES[:4])


def test_strangers_and_suspended_organizations_do_not_join(masked: MaskedRound, refused: Refusals) -> None:
    alpha = masked["org-a"]
    masked.training_round.participants.filter(organization=alpha.organization.row).delete()
    with refused(errors.NotAParticipant):
        alpha.advertise()
    type(alpha.organization.row).objects.filter(org_id="org-b").update(status="suspended")
    with refused(errors.OrganizationInactive):
        masked["org-b"].advertise()
