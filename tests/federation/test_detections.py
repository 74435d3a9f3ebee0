"""Sharing detections: who may, what is refused, what is kept, and how it is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import stix2
from django.db import DatabaseError, connection, transaction

import ledger.selectors
from federation import selectors
from federation.detections import stix
from federation.detections.facts import Facts
from federation.detections.techniques import TECHNIQUES, technique_of
from federation.errors import (
    DetectionConflict,
    DetectionHoldsIdentifiers,
    DetectionInvalid,
    StatementMalformed,
    StatementMismatch,
    TooManyDetections,
    UnknownKey,
)
from federation.models import SharedDetection
from federation.services import rounds
from federation.services.detections import share_detection
from flxdr.core import canonical, dsse
from flxdr.core.clock import ManualClock
from flxdr.core.keys import SignatureInvalid
from flxdr.env import Env
from flxdr.platform.models import AuditEvent
from ledger.errors import AppendOnlyRow
from models_ml.families import FAMILIES
from tests.federation.conftest import Stored
from tests.support.detections import alert_id, detection, facts, signed_detection
from tests.support.federation import (
    SimulatedFederation,
    SimulatedOrganization,
    constant_delta,
    shapes_of,
)

MODEL = "edge-normaliser"


def share(
    alpha: SimulatedOrganization, clock: ManualClock, statement: bytes | None = None, **changes: Any
) -> tuple[SharedDetection, bool]:
    assert alpha.key is not None
    stated = detection(alpha.org_id, **changes) if statement is None else statement
    return share_detection(org_id=alpha.org_id, signed=signed_detection(alpha.key, stated), clock=clock)


def test_every_family_of_attack_has_a_technique_with_a_name_and_a_tactic() -> None:
    assert list(TECHNIQUES) == [family for family in FAMILIES if family != "Benign"]
    assert all(technique_of(family).name and technique_of(family).tactics for family in TECHNIQUES)


def test_a_shared_detection_is_kept_as_it_was_signed(alpha: SimulatedOrganization, clock: ManualClock) -> None:
    row, is_new = share(alpha, clock, family="C2", note="beacons every minute")
    assert is_new
    assert (row.family, row.technique, row.flows, row.block_height) == ("C2", "T1071", 1312, None)
    (entry,) = selectors.detections_page(limit=10, offset=0)["detections"]
    assert entry["note"] == "beacons every minute"
    statement, signature = (dsse.decode_base64(entry[name], name) for name in ("statement", "signature"))
    assert alpha.key is not None
    dsse.verify(alpha.key.public, signature, dsse.DETECTION_TYPE, statement)
    event = AuditEvent.objects.get(kind="detection.shared")
    assert (event.actor, event.data["technique"]) == ("org-alpha", "T1071")


def test_sharing_again_changes_nothing_and_other_facts_are_refused(
    alpha: SimulatedOrganization, clock: ManualClock, stored: Stored
) -> None:
    first, _ = share(alpha, clock)
    before = stored.count()
    again, is_new = share(alpha, clock)
    assert (again.pk, is_new) == (first.pk, False)
    with pytest.raises(DetectionConflict):
        share(alpha, clock, flows=9999)
    assert stored.count() == before


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"family": "Benign"}, DetectionInvalid),
        ({"technique": "T1071"}, DetectionInvalid),
        ({"last_seen": "2026-01-15T10:11:00.000000Z"}, DetectionInvalid),
        ({"last_seen": "2026-01-15"}, DetectionInvalid),
        ({"last_seen": "2100-02-01T00:00:00.000000Z"}, DetectionInvalid),
        ({"destinations": 1313}, DetectionInvalid),
        ({"block_height": 0}, StatementMalformed),
        ({"block_height": 1}, DetectionInvalid),
        ({"block_height": 10**9}, DetectionInvalid),
        ({"score_ppm": 1_000_001}, StatementMalformed),
        ({"flows": 0}, StatementMalformed),
        ({"services": ["tcp/23"] * 9}, StatementMalformed),
        ({"services": ["10.0.0.1"]}, StatementMalformed),
        ({"host": "10.0.0.1"}, StatementMalformed),
        ({"model_hash": "x"}, StatementMalformed),
        ({"model_name": "seen-at-10-1-2-3"}, DetectionHoldsIdentifiers),
        ({"note": "from 10.1.2.3"}, DetectionHoldsIdentifiers),
        ({"note": "from 10[.]1[.]2[.]3"}, DetectionHoldsIdentifiers),
        ({"note": "alice@example.org clicked"}, DetectionHoldsIdentifiers),
        ({"note": r"C:\Users\alice\a.exe"}, DetectionHoldsIdentifiers),
        ({"note": "the host <ipv4:0123456789ab>"}, DetectionHoldsIdentifiers),
        ({"note": "x" * 301}, StatementMalformed),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    alpha: SimulatedOrganization,
    clock: ManualClock,
    stored: Stored,
    changes: dict[str, Any],
    error: type[Exception],
) -> None:
    before = stored.count()
    with pytest.raises(error):
        share(alpha, clock, **changes)
    assert stored.count() == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda statement: statement + b" ",
        lambda statement: b"[]",
        lambda statement: b"\xff",
        lambda statement: canonical.encode({"v": 2} | {k: v for k, v in json.loads(statement).items() if k != "v"}),
        lambda statement: canonical.encode({k: v for k, v in json.loads(statement).items() if k != "org"}),
        lambda statement: canonical.encode(json.loads(statement) | {"alert_id": "10.0.0.1"}),
        lambda statement: canonical.encode(json.loads(statement) | {"flows": "many"}),
    ],
)
def test_statements_of_another_form_are_refused(
    alpha: SimulatedOrganization, clock: ManualClock, spoil: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(StatementMalformed):
        share(alpha, clock, spoil(detection("org-alpha")))


def test_nobody_shares_for_another_organization_or_chain(
    alpha: SimulatedOrganization, clock: ManualClock, stored: Stored
) -> None:
    before = stored.count()
    with pytest.raises(StatementMismatch):
        share(alpha, clock, detection("org-beta"))
    with pytest.raises(StatementMismatch):
        share(alpha, clock, detection("org-alpha", chain_id="0" * 64))
    assert stored.count() == before


def test_only_keys_that_the_chain_holds_count(
    alpha: SimulatedOrganization, beta: SimulatedOrganization, clock: ManualClock
) -> None:
    assert alpha.key is not None
    with pytest.raises(UnknownKey):  # beta has no key of its own
        share_detection(org_id="org-beta", signed=signed_detection(alpha.key, detection("org-beta")), clock=clock)
    other = signed_detection(alpha.key, detection("org-alpha", "another"))
    forged = type(other)(detection("org-alpha"), other.key_id, other.signature)
    with pytest.raises(SignatureInvalid):
        share_detection(org_id="org-alpha", signed=forged, clock=clock)
    assert not SharedDetection.objects.exists()


def test_the_limit_is_each_organizations_own_and_an_hour_long(
    pair: SimulatedFederation, alpha: SimulatedOrganization, clock: ManualClock, env: Callable[..., Env]
) -> None:
    (gamma,) = pair.enrol("org-gamma")
    env(detections_per_hour=2)
    share(alpha, clock, detection("org-alpha", 1))
    clock.advance(timedelta(minutes=30))
    share(alpha, clock, detection("org-alpha", 2))
    with pytest.raises(TooManyDetections) as refused:
        share(alpha, clock, detection("org-alpha", 3))
    assert refused.value.fields["retry_after"] == 1800
    share(alpha, clock, detection("org-alpha", 2))  # what is kept already costs nothing
    share(gamma, clock, detection("org-gamma", 3))
    clock.advance(timedelta(minutes=30))
    share(alpha, clock, detection("org-alpha", 3))
    assert SharedDetection.objects.count() == 4


def test_a_named_block_must_have_released_the_model(federation: SimulatedFederation, clock: ManualClock) -> None:
    alpha, _ = federation.enrol("org-alpha", "org-beta")
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    federation.submit_all(started, constant_delta(shapes_of(MODEL), 1))
    federation.settle()
    block = ledger.selectors.head()
    named: dict[str, Any] = {"model_name": MODEL, "model_hash": block.model_hash, "block_height": block.height}
    for wrong in ({"model_hash": "0" * 64}, {"model_name": "edge-classifier"}, {"block_height": 1}):
        with pytest.raises(DetectionInvalid):
            share(alpha, clock, **(named | wrong))
    row, _ = share(alpha, clock, **named)
    assert row.block_height == block.height


@pytest.mark.parametrize(
    "change",
    [
        lambda: SharedDetection.objects.get().save(),
        lambda: SharedDetection.objects.get().delete(),
        lambda: SharedDetection.objects.update(flows=1),
        lambda: SharedDetection.objects.all().delete(),
        lambda: SharedDetection.objects.bulk_update([SharedDetection.objects.get()], ["flows"]),
    ],
    ids=["save", "delete", "update", "delete all", "bulk update"],
)
def test_the_model_refuses_to_change_what_was_shared(
    alpha: SimulatedOrganization, clock: ManualClock, change: Callable[[], None]
) -> None:
    share(alpha, clock)
    before = list(SharedDetection.objects.values())
    with pytest.raises(AppendOnlyRow), transaction.atomic():
        change()
    assert list(SharedDetection.objects.values()) == before


def test_the_database_refuses_to_change_what_was_shared(alpha: SimulatedOrganization, clock: ManualClock) -> None:
    share(alpha, clock)
    orders = ["UPDATE federation_shareddetection SET flows = flows"]
    if connection.vendor == "postgresql":  # the migration says why SQLite cannot
        orders.append("DELETE FROM federation_shareddetection")
    for order in orders:
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(order)


def test_reading_a_page_or_a_bundle_takes_a_fixed_number_of_queries(
    alpha: SimulatedOrganization, clock: ManualClock, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        share(alpha, clock, detection("org-alpha", number))
    with django_assert_max_num_queries(2):
        page = selectors.detections_page(limit=3, offset=1)
    assert [entry["alert_id"] for entry in page["detections"]] == [alert_id(number) for number in (3, 2, 1)]
    assert page["total"] == 5
    with django_assert_max_num_queries(3):
        selectors.detections_bundle(limit=5, offset=0)


def test_the_bundle_is_stix_that_names_technique_organization_model_and_no_host(
    alpha: SimulatedOrganization, clock: ManualClock
) -> None:
    share(alpha, clock, detection("org-alpha", 1))
    share(alpha, clock, detection("org-alpha", 2, family="C2", note="beacons"))
    text = selectors.detections_bundle(limit=10, offset=0)
    assert text.partition('"objects"')[2] == selectors.detections_bundle(limit=10, offset=0).partition('"objects"')[2]
    parsed = stix2.parse(text)
    kinds = [item.type for item in parsed.objects]
    assert sorted(kinds) == sorted(
        [*["attack-pattern", "identity", "note", "sighting"] * 2, "extension-definition", "marking-definition"]
    )
    patterns = {item.id: item for item in parsed.objects if item.type == "attack-pattern"}
    sightings = [item for item in parsed.objects if item.type == "sighting"]
    references = [patterns[item.sighting_of_ref].external_references[0] for item in sightings]
    assert [(each.source_name, each.external_id) for each in references] == [
        ("mitre-attack", "T1071"),
        ("mitre-attack", "T1046"),
    ]
    (extension,) = sightings[1].extensions.values()
    assert (extension["score"], extension["model_hash"], extension["services"]) == (
        0.994,
        "9f" * 32,
        ["tcp/23", "tcp/2323"],
    )
    assert {"host", "block_height"}.isdisjoint(extension)
    assert all(item.object_marking_refs == [stix2.TLP_AMBER.id] for item in sightings)
    assert next(item.content for item in parsed.objects if item.type == "note") == "beacons"


def test_a_bundle_of_nothing_is_valid() -> None:
    assert [item.type for item in stix2.parse(stix.bundle([], scope="0" * 64)).objects] == [
        "identity",
        "extension-definition",
    ]


def test_facts_have_exactly_the_documented_fields() -> None:
    assert set(facts()) == set(Facts.__struct_fields__)
