"""Provenance statements: what an auditor who holds an export can verify offline, and what does not pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from flxdr.core import dsse
from flxdr.core.dsse import IN_TOTO_TYPE, Envelope
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import Algorithm, SignatureInvalid
from ledger.chain.block import block_hash
from ledger.chain.fields import HeaderMalformed
from ledger.chain.statement import (
    Digest,
    OwnValidation,
    Statement,
    StatementInvalid,
    Verified,
    read_statement,
    sign_statement,
    statement_of,
    verify_statement,
)
from tests.ledger.attested import own_part, release_of
from tests.ledger.chains import ChainBuilder, federation, hash_of, key_of
from tests.ledger.provenance_example import DOCUMENT, example, rendered

ORGS = ("org-a", "org-b", "org-c")
HEIGHT = 5


def released(algorithm: Algorithm = Algorithm.ED25519) -> ChainBuilder:
    """Four members; the release at height 5 was trained by three of them."""
    chain = federation(*ORGS, "org-d", algorithm=algorithm)
    chain.append(chain.release_header(release_of(ORGS)))
    return chain


def statement(chain: ChainBuilder, org_id: str = "org-a", **changes: Any) -> Statement:
    return statement_of(chain.records[HEIGHT].header, own_part(org_id, ORGS, **changes), chain_id=chain.chain_id)


def verified(chain: ChainBuilder, envelope: Envelope, **options: Any) -> Verified:
    return verify_statement(envelope, iter(chain.records), **options)


@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize("org_id", ["org-a", "org-d"])
def test_it_verifies_against_an_export(algorithm: Algorithm, org_id: str) -> None:
    chain = released(algorithm)
    chain.release(2, orgs=ORGS)
    made = statement(chain, org_id)
    found = verified(chain, sign_statement(made, chain.keys[org_id]), genesis=chain.chain_id)
    assert found.statement == made
    assert (found.key_id, found.retired_height) == (chain.keys[org_id].public.key_id, None)
    assert found.report.blocks_verified == len(chain.records)


def test_an_in_toto_tool_reads_it() -> None:
    chain = released()
    document = sign_statement(statement(chain), chain.keys["org-a"]).as_json()
    assert document["payloadType"] == "application/vnd.in-toto+json"
    payload = json.loads(dsse.decode_base64(document["payload"], "payload"))
    assert payload["_type"] == "https://in-toto.io/Statement/v1"
    assert payload["subject"] == [{"name": "global@v1", "digest": {"sha256": hash_of("global 1")}}]
    assert payload["predicateType"] == "urn:flxdr:predicate:release-provenance:v1"
    assert payload["predicate"]["block"] == {
        "chain_id": chain.chain_id,
        "height": HEIGHT,
        "block_hash": block_hash(chain.records[HEIGHT].header),
    }
    assert payload["predicate"]["release"]["training_orgs"] == list(ORGS)
    assert payload["predicate"]["organization"]["validation"] == {
        "score": "macro_binary_f1",
        "before_ppm": 910_000,
        "after_ppm": 930_000,
    }


def _changed(**changes: Any) -> Callable[[Statement], Statement]:
    return lambda made: msgspec.structs.replace(made, **changes)


def _predicate(**changes: Any) -> Callable[[Statement], Statement]:
    return lambda made: msgspec.structs.replace(made, predicate=msgspec.structs.replace(made.predicate, **changes))


def _part(name: str, **changes: Any) -> Callable[[Statement], Statement]:
    def change(made: Statement) -> Statement:
        part = msgspec.structs.replace(getattr(made.predicate, name), **changes)
        return _predicate(**{name: part})(made)

    return change


def _update(**changes: Any) -> Callable[[Statement], Statement]:
    def change(made: Statement) -> Statement:
        update = made.predicate.organization.update
        assert update is not None
        return _part("organization", update=msgspec.structs.replace(update, **changes))(made)

    return change


LIES: dict[str, tuple[Callable[[Statement], Statement], str]] = {
    "another model": (
        lambda made: _changed(subject=(msgspec.structs.replace(made.subject[0], digest=Digest(hash_of("evil"))),))(
            made
        ),
        "subject",
    ),
    "another name": (
        lambda made: _changed(subject=(msgspec.structs.replace(made.subject[0], name="global@v2"),))(made),
        "subject",
    ),
    "another block hash": (_part("block", block_hash=hash_of("x")), "predicate.block"),
    "another chain": (_part("block", chain_id=hash_of("x")), "predicate.block"),
    "another aggregation": (_part("release", aggregation_method="Krum"), "predicate.release"),
    "more samples": (_part("release", samples_total=10**6), "predicate.release"),
    "better figures": (_part("release", metrics_ppm={"accuracy": 999_999}), "predicate.release"),
    "it did not train": (_part("organization", trained=False), "predicate.organization.trained"),
    "another update": (_update(sha256=hash_of("x")), "predicate.organization.update"),
    "more samples of its own": (_update(samples=251), "predicate.organization.update"),
    "another place": (_update(leaf_index=1), "predicate.organization.update"),
    "no proof": (_update(proof=()), "predicate.organization.update"),
    "another organisation's name": (_part("organization", org_id="org-b"), "predicate.organization.update"),
    "another organisation's key": (
        _part("organization", org_id="org-b", update=None, trained=True),
        "keyid",
    ),
    "a stranger's name": (_part("organization", org_id="stranger", update=None, trained=False), "keyid"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_the_chain_does_not_bear_out(lie: str) -> None:
    change, field = LIES[lie]
    chain = released()
    with pytest.raises(StatementInvalid) as refused:
        verified(chain, sign_statement(change(statement(chain)), chain.keys["org-a"]))
    assert refused.value.fields["field"] == field


def test_an_organisation_need_not_say_everything() -> None:
    chain = released()
    made = statement(chain, update=None, validation=None)
    assert verified(chain, sign_statement(made, chain.keys["org-a"])).statement == made
    first = statement(chain, validation=OwnValidation("macro_binary_f1", None, 500_000))
    assert verified(chain, sign_statement(first, chain.keys["org-a"])).statement == first


def test_a_block_that_releases_nothing_has_no_statement() -> None:
    chain = released()
    with pytest.raises(StatementInvalid, match="releases no model"):
        statement_of(chain.records[1].header, own_part("org-a", ORGS), chain_id=chain.chain_id)


def test_the_signature_is_over_these_bytes_and_this_type() -> None:
    chain = released()
    envelope = sign_statement(statement(chain), chain.keys["org-a"])
    ((key_id, _),) = envelope.signatures
    other = statement(chain, validation=None).encode()
    as_block = dsse.sign(chain.keys["org-a"], dsse.BLOCK_TYPE, envelope.payload)
    for payload, signature in ((other, envelope.signatures[0][1]), (envelope.payload, as_block)):
        with pytest.raises(SignatureInvalid):
            verified(chain, Envelope(IN_TOTO_TYPE, payload, [(key_id, signature)]))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.replace(b'"_type"', b'"_Type"'),
        lambda p: p.replace(b"Statement/v1", b"Statement/v0.1"),
        lambda p: p.replace(b"release-provenance:v1", b"release-provenance:v2"),
        lambda p: p.replace(b'"subject":', b'"more":1,"subject":'),
        lambda p: p.replace(b'"height":5', b'"height": 5'),
        lambda p: p.replace(b'"height":5', b'"height":4,"height":5'),
        lambda p: p.replace(b'"height":5', b'"height":5.0'),
        lambda p: b"[]",
        lambda p: b"\xff",
        lambda p: b"",
    ],
)
def test_what_is_no_statement(change: Callable[[bytes], bytes]) -> None:
    chain = released()
    payload = change(statement(chain).encode())
    signature = dsse.sign(chain.keys["org-a"], IN_TOTO_TYPE, payload)
    with pytest.raises(HeaderMalformed):
        read_statement(Envelope(IN_TOTO_TYPE, payload, [(chain.keys["org-a"].public.key_id, signature)]))


def test_it_is_signed_once_as_an_in_toto_statement() -> None:
    chain = released()
    envelope = sign_statement(statement(chain), chain.keys["org-a"])
    for kind, signatures in (
        (IN_TOTO_TYPE, []),
        (IN_TOTO_TYPE, [*envelope.signatures] * 2),
        (dsse.BLOCK_TYPE, envelope.signatures),
    ):
        with pytest.raises(HeaderMalformed):
            read_statement(Envelope(kind, envelope.payload, signatures))


def test_a_later_key_may_sign_and_a_retired_one_only_if_it_was_in_force_after_the_block() -> None:
    chain = released()
    old, new = chain.keys["org-a"], key_of("org-a, next")
    envelope = sign_statement(statement(chain), old)
    chain.govern(chain.rotation("org-a", new))
    assert verified(chain, sign_statement(statement(chain), new)).retired_height is None
    assert verified(chain, envelope).retired_height == HEIGHT + 1

    earlier = federation(*ORGS, "org-d")
    earlier.govern(earlier.rotation("org-a", new))
    earlier.keys["org-a"] = new
    earlier.append(earlier.release_header(release_of(ORGS)))
    made = statement_of(earlier.tip.header, own_part("org-a", ORGS), chain_id=earlier.chain_id)
    with pytest.raises(StatementInvalid, match="none that may speak"):
        verified(earlier, sign_statement(made, old))


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda c: c.records.pop(), {}),
        (lambda c: c.records.__delitem__(3), {}),
        (lambda c: None, {"genesis": hash_of("another")}),
    ],
)
def test_an_export_that_does_not_hold(change: Callable[[ChainBuilder], Any], options: dict[str, Any]) -> None:
    chain = released()
    envelope = sign_statement(statement(chain), chain.keys["org-a"])
    change(chain)
    with pytest.raises(FlxdrError) as refused:
        verified(chain, envelope, **options)
    assert refused.value.fields["field"] == "export"


def test_the_documents_example_is_what_is_made() -> None:
    text = DOCUMENT.read_text()
    assert rendered(text) == text, "run python -m tests.ledger.provenance_example"
    assert example() in text
