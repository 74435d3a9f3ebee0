"""The stored tree, and what an outsider can prove with what the API hands out: checked with the genesis hash alone."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, transaction

from flxdr.core.dsse import Envelope
from flxdr.platform.identity import log_key
from ledger import selectors
from ledger.chain import checkpoint as notes
from ledger.chain import merkle, tree
from ledger.chain.block import block_hash, parse_header
from ledger.chain.checkpoint import TlogProof
from ledger.chain.membership import found
from ledger.errors import TreeDamaged
from ledger.models import Block, TreeNode
from tests.api.callers import operator, organization, own_user, refuse_with, stranger
from tests.ledger.members import Consortium
from tests.platform.directories import MemoryDirectory, registered

MEMBERS = ["org-a", "org-b", "org-c"]
SIZE = 7
PATHS = [
    "blockchain/checkpoint",
    "blockchain/proof/inclusion?height=1",
    "blockchain/proof/consistency?from=2",
    "blockchain/blocks/1/tlog-proof",
]


@pytest.fixture(autouse=True)
def _directory() -> Iterator[None]:
    with registered(MemoryDirectory(active={*MEMBERS, "org-x"})):
        yield


@pytest.fixture
def sealed(consortium: Consortium) -> Consortium:
    """genesis, three admissions, three releases"""
    consortium.admit(*MEMBERS)
    for number in (1, 2, 3):
        consortium.release(number, MEMBERS)
    return consortium


def headers() -> list[bytes]:
    return [bytes(header) for header in Block.objects.order_by("height").values_list("header", flat=True)]


@pytest.mark.usefixtures("sealed")
def test_every_append_grew_the_tree() -> None:
    frontier = tree.Frontier()
    expected = [node for header in headers() for node in frontier.append(header)]
    assert selectors.stored_tree(0, 1000) == expected
    assert len(expected) == tree.stored_nodes(SIZE) == TreeNode.objects.count()


@pytest.mark.usefixtures("sealed")
def test_a_chain_from_before_gets_its_tree() -> None:
    before = selectors.stored_tree(0, 1000)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE tree_nodes" if connection.vendor == "postgresql" else "DELETE FROM tree_nodes")
    import_module("ledger.migrations.0003_tree").grow(apps, SimpleNamespace(connection=connection))
    assert selectors.stored_tree(0, 1000) == before


def test_without_its_tree_the_chain_takes_no_block(sealed: Consortium) -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE tree_nodes" if connection.vendor == "postgresql" else "DELETE FROM tree_nodes")
    with pytest.raises(TreeDamaged), transaction.atomic():
        sealed.release(4, MEMBERS)
    assert Block.objects.count() == SIZE
    refuse_with(operator().get("blockchain/checkpoint"), 503, "tree_damaged")


def held(size: int | None = None) -> notes.Checkpoint:
    """A checkpoint that an outsider accepts who knows the genesis hash and nothing else."""
    genesis = selectors.chain_id()
    query = {} if size is None else {"size": size}
    answer = organization("org-a").get("blockchain/checkpoint", query, HTTP_ACCEPT="application/json").json()
    assert block_hash(headers()[0]) == genesis
    coordinator = found(parse_header(headers()[0]).governance).coordinator
    key = notes.endorsed_log_key(Envelope.from_json(answer["log_key_statement"]), coordinator, chain_id=genesis)
    assert answer["log_key"] == notes.verifier_key(notes.origin_of(genesis), key)
    checkpoint = notes.verify(answer["note"].encode(), key, origin=notes.origin_of(genesis))
    assert {name: answer[name] for name in ("origin", "size", "root_hash")} == checkpoint.as_json()
    return checkpoint


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize("size", [None, *range(1, SIZE + 1)])
def test_an_outsider_verifies_a_checkpoint(size: int | None) -> None:
    checkpoint = held(size)
    assert checkpoint.size == (size or SIZE)
    assert checkpoint.root == merkle.root(headers()[:size])


@pytest.mark.usefixtures("sealed")
def test_a_checkpoint_is_text_unless_json_is_asked_for() -> None:
    answer = operator().get("blockchain/checkpoint")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    as_json = operator().get("blockchain/checkpoint", HTTP_ACCEPT="application/json").json()
    assert answer.content.decode() == as_json["note"]
    assert operator().get("blockchain/checkpoint").content == answer.content


def test_a_checkpoint_of_a_size_never_changes(sealed: Consortium) -> None:
    before = operator().get("blockchain/checkpoint").content
    sealed.release(4, MEMBERS)
    assert operator().get("blockchain/checkpoint").content != before
    assert operator().get("blockchain/checkpoint", {"size": SIZE}).content == before


@pytest.mark.usefixtures("sealed")
def test_every_block_is_proven_included() -> None:
    leaves = headers()
    for size in range(1, SIZE + 1):
        root = held(size).root
        for height in range(size):
            answer = operator().get("blockchain/proof/inclusion", {"height": height, "size": size}).json()
            proof = [bytes.fromhex(node) for node in answer["proof"]]
            assert merkle.verify_inclusion(leaves[height], height, size, proof, root)
            assert answer["leaf_hash"] == merkle.leaf_hash(leaves[height]).hex()
            assert (answer["height"], answer["size"], answer["root_hash"]) == (height, size, root.hex())


def test_every_two_sizes_are_proven_consistent(sealed: Consortium) -> None:
    roots = {size: held(size).root for size in range(1, SIZE + 1)}
    for new, new_root in roots.items():
        for old in range(1, new + 1):
            answer = operator().get("blockchain/proof/consistency", {"from": old, "to": new}).json()
            proof = [bytes.fromhex(node) for node in answer["proof"]]
            assert merkle.verify_consistency(old, new, proof, roots[old], new_root)
            assert (answer["from"], answer["to"]) == (old, new)
            assert (answer["from_root_hash"], answer["to_root_hash"]) == (roots[old].hex(), new_root.hex())
    assert operator().get("blockchain/proof/consistency", {"from": 3}).json()["to"] == SIZE


@pytest.mark.usefixtures("sealed")
def test_a_proof_file_holds_all_that_an_outsider_needs() -> None:
    leaves, origin = headers(), notes.origin_of(selectors.chain_id())
    for height in range(SIZE):
        answer = operator().get(f"blockchain/blocks/{height}/tlog-proof")
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        file = TlogProof.parse(answer.content)
        checkpoint = notes.verify(file.note, log_key().public, origin=origin)
        assert file.index == height
        assert merkle.verify_inclusion(leaves[height], height, checkpoint.size, file.proof, checkpoint.root)


@pytest.mark.usefixtures("sealed")
def test_a_lost_log_key_is_replaced_and_vouched_for() -> None:
    before = held()
    old = log_key().public
    (settings.FLXDR.data_dir / "keys" / "log_ed25519_seed").unlink()
    assert held() == before
    assert log_key().public != old


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("caller", "status"),
    [(operator, 200), (own_user, 200), (lambda: organization("org-a"), 200), (lambda: organization("org-x"), 200),
     (stranger, 401)],
    ids=["operator", "own user", "member", "organisation without a key", "stranger"],
)  # fmt: skip
@pytest.mark.usefixtures("sealed")
def test_who_reads(path: str, caller: Any, status: int) -> None:
    assert caller().get(path).status_code == status


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        *((f"{path}{'&' if '?' in path else '?'}colour=blue", 400, "unknown_parameter") for path in PATHS),
        ("blockchain/checkpoint?size=8", 404, "size_not_found"),
        ("blockchain/checkpoint?size=0", 400, "invalid_parameter"),
        ("blockchain/checkpoint?size=x", 400, "invalid_parameter"),
        ("blockchain/proof/inclusion", 400, "invalid_parameter"),
        ("blockchain/proof/inclusion?height=-1", 400, "invalid_parameter"),
        ("blockchain/proof/inclusion?height=7", 404, "block_not_found"),
        ("blockchain/proof/inclusion?height=3&size=3", 404, "size_not_found"),
        ("blockchain/proof/inclusion?height=3&size=8", 404, "size_not_found"),
        ("blockchain/proof/consistency", 400, "invalid_parameter"),
        ("blockchain/proof/consistency?from=0", 400, "invalid_parameter"),
        ("blockchain/proof/consistency?from=8", 404, "size_not_found"),
        ("blockchain/proof/consistency?from=3&to=2", 404, "size_not_found"),
        ("blockchain/proof/consistency?from=3&to=8", 404, "size_not_found"),
        (f"blockchain/blocks/{10**30}/tlog-proof", 404, "block_not_found"),
        ("blockchain/blocks/7/tlog-proof", 404, "block_not_found"),
        ("blockchain/blocks/1/tlog-proof?size=1", 404, "size_not_found"),
    ],
)
@pytest.mark.usefixtures("sealed")
def test_what_is_refused(path: str, status: int, code: str) -> None:
    refuse_with(operator().get(path), status, code)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.usefixtures("sealed")
def test_no_other_form(path: str) -> None:
    refuse_with(operator().get(path, HTTP_ACCEPT="image/png"), 406, "not_acceptable")
