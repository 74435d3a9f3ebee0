"""Statements at the coordinator: taken when the chain bears them out, one per organisation and release, served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flxdr.core.clock import SystemClock
from flxdr.core.dsse import Envelope
from flxdr.platform.models import AuditEvent
from ledger import selectors
from ledger.chain.record import ChainRecord
from ledger.chain.statement import sign_statement, statement_of, verify_statement
from ledger.models import ReleaseStatement
from tests.api.callers import operator, organization, stranger
from tests.ledger.attested import own_part, release_of
from tests.ledger.chains import key_of
from tests.ledger.members import Consortium
from tests.platform.directories import MemoryDirectory, registered

MEMBERS = ["org-a", "org-b", "org-c"]
PATH = "blockchain/blocks/4/statements"


@pytest.fixture(autouse=True)
def _directory() -> Iterator[None]:
    with registered(MemoryDirectory(active={*MEMBERS, "org-x"})):
        yield


@pytest.fixture
def sealed(consortium: Consortium) -> Consortium:
    """genesis, three admissions, a release at height 4"""
    consortium.clock.advance(SystemClock().now() - consortium.clock.now())
    consortium.admit(*MEMBERS)
    root = release_of(MEMBERS).submissions_root
    consortium.release(1, MEMBERS, submissions_root=root)
    return consortium


def envelope(org_id: str, height: int = 4, *, signer: str | None = None, **changes: Any) -> dict[str, Any]:
    header = bytes(selectors.block_at(height).header)
    made = statement_of(header, own_part(org_id, MEMBERS, **changes), chain_id=selectors.chain_id())
    return sign_statement(made, key_of(signer or org_id)).as_json()


@pytest.mark.usefixtures("sealed")
def test_taken_once_and_served() -> None:
    sent = envelope("org-a")
    for _ in range(2):
        answer = organization("org-a").post(PATH, sent)
        assert answer.status_code == 200, answer.content
    assert answer.json() == {"height": 4, "statements": [{"org_id": "org-a", "envelope": sent}]}
    assert list(AuditEvent.objects.filter(kind="release.attested").values_list("actor", "subject")) == [
        ("org-a", "block 4")
    ]
    assert organization("org-b").post(PATH, envelope("org-b")).status_code == 200
    read = operator().get(PATH).json()
    assert [item["org_id"] for item in read["statements"]] == ["org-a", "org-b"]
    assert stranger().get(PATH).status_code == 401


@pytest.mark.usefixtures("sealed")
def test_what_is_served_verifies_offline() -> None:
    organization("org-a").post(PATH, envelope("org-a"))
    (item,) = operator().get(PATH).json()["statements"]
    records = operator().get("blockchain/ledger/export").json()["records"]
    found = verify_statement(
        Envelope.from_json(item["envelope"]), map(ChainRecord.from_json, records), genesis=selectors.chain_id()
    )
    assert found.statement.predicate.organization.org_id == "org-a"


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda: envelope("org-b"), 403, "not_the_signer"),
        (lambda: envelope("org-a", signer="org-b"), 422, "statement_invalid"),
        (lambda: envelope("org-a", signer="stranger"), 422, "statement_invalid"),
        (lambda: envelope("org-a", trained=False), 422, "statement_invalid"),
        (lambda: {**envelope("org-a"), "payload": "AAAA"}, 400, "header_malformed"),
        (lambda: {**envelope("org-a"), "signatures": []}, 400, "header_malformed"),
        (lambda: {"payload": "x"}, 400, None),
    ],
)
@pytest.mark.usefixtures("sealed")
def test_what_is_refused_leaves_nothing(make: Any, status: int, code: str | None) -> None:
    answer = organization("org-a").post(PATH, make())
    assert answer.status_code == status, answer.content
    assert code is None or answer.json()["code"] == code
    assert not ReleaseStatement.objects.exists()


@pytest.mark.usefixtures("sealed")
def test_a_signature_of_other_bytes() -> None:
    document = {**envelope("org-a"), "signatures": envelope("org-a", validation=None)["signatures"]}
    assert organization("org-a").post(PATH, document).status_code in {400, 401, 403, 422}
    assert not ReleaseStatement.objects.exists()


@pytest.mark.parametrize(("height", "status"), [(0, 422), (2, 422), (99, 404)])
@pytest.mark.usefixtures("sealed")
def test_about_another_block(height: int, status: int) -> None:
    answer = organization("org-a").post(f"blockchain/blocks/{height}/statements", envelope("org-a"))
    assert answer.status_code == status


@pytest.mark.usefixtures("sealed")
def test_another_statement_about_the_same_release_is_refused() -> None:
    assert organization("org-a").post(PATH, envelope("org-a")).status_code == 200
    answer = organization("org-a").post(PATH, envelope("org-a", validation=None))
    assert (answer.status_code, answer.json()["code"]) == (409, "statement_conflict")
    assert ReleaseStatement.objects.count() == 1


def test_an_organisation_without_a_key_makes_none(sealed: Consortium) -> None:
    answer = organization("org-x").post(PATH, envelope("org-x"))
    assert answer.json()["code"] == "statement_invalid"


def test_a_rotated_key_signs_and_the_retired_one_no_more(sealed: Consortium) -> None:
    by_old, new = envelope("org-a"), key_of("org-a, next")
    sealed.rotate("org-a", new)
    made = statement_of(bytes(selectors.block_at(4).header), own_part("org-a", MEMBERS), chain_id=selectors.chain_id())
    caller = organization("org-a")
    assert caller.post(PATH, by_old).json()["code"] == "statement_invalid"
    assert caller.post(PATH, sign_statement(made, new).as_json()).status_code == 200
