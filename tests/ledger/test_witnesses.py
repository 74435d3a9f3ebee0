"""Cosignatures of the organisations' witnesses: taken from their owners, checked, served with the note."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from flxdr.core.dsse import Envelope
from flxdr.platform.identity import log_key
from ledger import selectors
from ledger.chain import checkpoint as notes
from ledger.chain import cosignature as cosignatures
from ledger.chain.checkpoint import TlogProof
from ledger.models import Cosignature, WitnessKey
from ledger.services import checkpoints
from tests.api.callers import operator, organization, refuse_with
from tests.ledger.chains import key_of
from tests.ledger.checkpoints import cosigning
from tests.ledger.members import Consortium
from tests.platform.directories import MemoryDirectory, registered

MEMBERS = ["org-a", "org-b", "org-c"]
PATH = "blockchain/checkpoint/cosignatures"
SIZE = 5


@pytest.fixture(autouse=True)
def _directory() -> Iterator[None]:
    with registered(MemoryDirectory(active={*MEMBERS, "org-x"})):
        yield


@pytest.fixture(autouse=True)
def sealed(consortium: Consortium) -> Consortium:
    """genesis, three admissions, a release"""
    consortium.admit(*MEMBERS)
    consortium.release(1, MEMBERS)
    return consortium


def body(org_id: str, size: int = SIZE, **options: Any) -> dict[str, Any]:
    text = checkpoints.checkpoint(size=size).text
    return cosigning(selectors.chain_id(), org_id, text, **({"org_key": key_of(org_id)} | options))


def cosign(org_id: str, size: int = SIZE) -> dict[str, Any]:
    answer = organization(org_id).post(PATH, body(org_id, size))
    assert answer.status_code == 200, answer.content
    document: dict[str, Any] = answer.json()
    return document


def as_json(**query: Any) -> dict[str, Any]:
    document: dict[str, Any] = operator().get("blockchain/checkpoint", query, HTTP_ACCEPT="application/json").json()
    return document


def cosigners(document: dict[str, Any]) -> list[str]:
    """Who cosigned, as somebody finds who knows the members' keys and nothing else."""
    signed = notes.parse(document["note"].encode())
    chain_id = selectors.chain_id()
    members = {org_id: {key.key_id: key for key in keys} for org_id, keys in selectors.members().items()}
    notes.verify(document["note"].encode(), log_key().public, origin=notes.origin_of(chain_id))
    lines = {signature.name: signature for signature in signed.signatures}
    found = []
    for each in document["witnesses"]:
        statement = Envelope.from_json(each["witness_key_statement"])
        witness = cosignatures.endorsed_witness(statement, members, chain_id=chain_id)
        assert (witness.org_id, witness.verifier_key) == (each["org_id"], each["witness_key"])
        assert cosignatures.verify(signed.text, lines.pop(witness.name), witness.name, witness.key) > 0
        found.append(witness.org_id)
    assert list(lines) == [notes.origin_of(chain_id)]
    return found


def test_cosignatures_are_served_with_the_checkpoint() -> None:
    assert as_json()["witnesses"] == []
    for number, org_id in enumerate(MEMBERS, start=1):
        assert cosigners(cosign(org_id)) == MEMBERS[:number]
    assert cosigners(as_json()) == MEMBERS
    assert operator().get("blockchain/checkpoint").content.decode() == as_json()["note"]
    assert cosigners(as_json(size=3)) == []


def test_a_proof_file_carries_them() -> None:
    cosign("org-b")
    file = TlogProof.parse(operator().get("blockchain/blocks/2/tlog-proof").content)
    assert file.note.decode() == as_json()["note"]
    assert len(notes.parse(file.note).signatures) == 2


def test_the_newest_checkpoint_that_enough_cosigned(sealed: Consortium) -> None:
    for org_id, size in [("org-a", 3), ("org-b", 3), ("org-c", 3), ("org-a", 4), ("org-b", 4), ("org-a", 5)]:
        cosign(org_id, size)
    assert [as_json(cosigned=count)["size"] for count in (1, 2, 3)] == [5, 4, 3]
    refuse_with(operator().get("blockchain/checkpoint?cosigned=4"), 404, "checkpoint_not_cosigned")
    refuse_with(operator().get("blockchain/checkpoint?cosigned=1&size=3"), 400, "invalid_parameter")
    refuse_with(operator().get("blockchain/checkpoint?cosigned=0"), 400, "invalid_parameter")
    sealed.release(2, MEMBERS)
    assert as_json()["size"] == 6
    assert as_json(cosigned=2)["size"] == 4


def test_the_first_cosignature_of_a_size_stands() -> None:
    first = cosign("org-a")
    for options in ({}, {"time": 1_900_000_000}, {"witness": key_of("new home")}):
        answer = organization("org-a").post(PATH, body("org-a", **options))
        assert answer.status_code == 200
        assert (answer.json()["note"], answer.json()["witnesses"]) == (first["note"], first["witnesses"])
    assert (Cosignature.objects.count(), WitnessKey.objects.count()) == (1, 1)


def test_a_witness_key_is_stated_once() -> None:
    cosign("org-a", 3)
    cosign("org-a", 4)
    assert (Cosignature.objects.count(), WitnessKey.objects.count()) == (2, 1)


def _split_view() -> dict[str, Any]:
    """A genuine cosignature of what the coordinator showed somebody else."""
    text = notes.Checkpoint(notes.origin_of(selectors.chain_id()), SIZE, bytes(32)).body()
    return cosigning(selectors.chain_id(), "org-a", text, org_key=key_of("org-a"))


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda: body("org-b"), 403, "not_a_witness"),
        (lambda: body("org-a", org_key=key_of("org-b")), 422, "invalid_signature"),
        (lambda: body("org-a") | {"cosignature": body("org-b")["cosignature"]}, 400, "malformed_cosignature"),
        (lambda: body("org-a") | {"size": 4}, 422, "invalid_signature"),
        (lambda: body("org-a") | {"size": 6}, 404, "size_not_found"),
        (_split_view, 422, "invalid_signature"),
        (lambda: body("org-a") | {"cosignature": "x"}, 400, "malformed_checkpoint"),
        (lambda: body("org-a") | {"size": 0}, 400, "invalid_fields"),
        (lambda: body("org-a") | {"cosignature": "x" * 1000}, 400, "invalid_fields"),
        (dict, 400, "invalid_fields"),
    ],
    ids=["another's", "not vouched for", "another's line", "another size", "beyond", "another root", "no line",
         "size 0", "long", "empty"],
)  # fmt: skip
def test_what_is_refused(make: Callable[[], dict[str, Any]], status: int, code: str) -> None:
    refuse_with(organization("org-a").post(PATH, make()), status, code)
    assert not Cosignature.objects.exists()
    assert not WitnessKey.objects.exists()


def test_an_organisation_without_a_key_on_the_chain_is_no_witness() -> None:
    refuse_with(organization("org-x").post(PATH, body("org-x")), 422, "invalid_signature")


def test_an_export_carries_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "chain.jsonl"
    cosign("org-a")
    cosign("org-c")
    call_command("export_chain", str(file))
    call_command("verify_chain", "--export", str(file))
    out = capsys.readouterr().out
    assert f"agrees with the checkpoint of {SIZE} block(s), cosigned by org-a, org-c" in out
    assert "0 block(s) unanchored" in out
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:-2], lines[-1]]))
    with pytest.raises(SystemExit):
        call_command("verify_chain", "--json", "--export", str(file))
    assert json.loads(capsys.readouterr().out)["first_bad"]["code"] == "checkpoint_beyond_chain"


def test_a_coordinator_without_the_chains_key_exports_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ledger.services.exporting.coordinator_key", lambda: key_of("another"))
    file = tmp_path / "chain.jsonl"
    call_command("export_chain", str(file))
    assert "no checkpoint in the file" in capsys.readouterr().err
    call_command("verify_chain", "--export", str(file))
    assert f"{SIZE} block(s) unanchored" in capsys.readouterr().out


def test_a_chain_whose_tree_is_damaged_can_be_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE tree_nodes" if connection.vendor == "postgresql" else "DELETE FROM tree_nodes")
    file = tmp_path / "chain.jsonl"
    call_command("export_chain", str(file))
    assert "no checkpoint in the file" in capsys.readouterr().err
    call_command("verify_chain", "--export", str(file))
