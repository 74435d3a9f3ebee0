"""The pages of a block, of its proof, and of the lineage of what it released."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from typer.testing import CliRunner

from federation.agent.commands.app import app as agent
from ledger import selectors
from ledger.chain import standalone
from ledger.chain.statement import sign_statement, statement_of
from ledger.models import Block
from ledger.services.checkpoints import tlog_proof
from ledger.services.statements import record_statement
from tests.ledger.attested import own_part
from tests.ledger.conftest import empty_ledger
from tests.ledger.members import Consortium, tamper
from tests.site.dashboard.sealed_chain import MEMBERS, client, consortium
from tests.site.dashboard.visitors import text_of

pytestmark = pytest.mark.django_db
__all__ = ["client", "consortium", "empty_ledger"]  # fixtures


def test_a_block_says_what_it_holds_and_who_signed(client: Client) -> None:
    page = text_of(client, "/ledger/blocks/5/")
    block = Block.objects.get(height=5)
    assert "checked now: all of it holds" in page
    assert page.count("verifies</span>") == 4
    for said in (block.block_hash, block.prev_hash, block.model_hash, block.round_id, selectors.chain_id()):
        assert str(said) in page
    assert bytes(block.header).decode().replace('"', "&quot;") in page
    assert "leaf 5 of 7" in page
    assert '<a class="button plain" rel="prev" href="/ledger/blocks/4/">' in page
    assert 'href="/ledger/blocks/6/"' in page
    assert "/ledger/blocks/7/" not in text_of(client, "/ledger/blocks/6/")


@pytest.mark.parametrize("height", ["0", "1", "6"])
def test_every_kind_of_block_holds(client: Client, height: str) -> None:
    page = text_of(client, f"/ledger/blocks/{height}/")
    assert "checked now: all of it holds" in page
    assert "badge bad" not in page


@pytest.mark.parametrize(
    ("statement", "value", "said"),
    [
        ("UPDATE blocks SET model_version = %s WHERE height = 5", 9, ["column_mismatch", "expected 2, found 9"]),
        ("UPDATE blocks SET header = %s WHERE height = 5", b"{}", ["header_malformed"]),
        ("UPDATE blocks SET header = %s WHERE height = 5", b"\xff", ["\\xff"]),
        (
            "UPDATE approvals SET signature = %s WHERE org_id = 'org-b'",
            b"\0",
            ["does not verify: approval_signature", "quorum_not_met", "prev_cert_mismatch"],
        ),
        ("UPDATE approvals SET key_id = %s WHERE org_id = 'org-b'", "x", ["does not verify: approval_key"]),
        ("UPDATE approvals SET org_id = %s WHERE org_id = 'org-b'", "x", ["does not verify: approval_not_voter"]),
        ("DELETE FROM approvals WHERE org_id = %s", "coordinator", ["coordinator_missing"]),
        ("UPDATE blocks SET header = %s WHERE height = 4", b"{}", ["prev_hash_mismatch"]),
        ("DELETE FROM blocks WHERE height = %s", 4, ["prev_hash_mismatch", "no block"]),
        ("DELETE FROM tree_nodes WHERE position = %s", 7, ["tree_damaged"]),
        ("UPDATE tree_nodes SET hash = %s WHERE position = 7", bytes(32), ["tree_mismatch"]),
        (
            "UPDATE ledger_signerkey SET spki = %s WHERE org_id = 'org-b'",
            b"\0",
            ["does not verify: approval_signature"],
        ),
    ],
)
def test_a_tampered_block_says_what_does_not_hold(client: Client, statement: str, value: Any, said: list[str]) -> None:
    tamper(statement, value)
    page = text_of(client, "/ledger/blocks/5/")
    for each in (*said, "checked now: it does NOT hold"):
        assert each in page
    assert "all of it holds" not in page


@pytest.mark.parametrize(
    "path", ["blocks/7/", f"blocks/{10**30}/", "blocks/-1/", "blocks/7/chain", "blocks/7/withdraw"]
)
def test_unknown_blocks_are_not_found(client: Client, path: str) -> None:
    assert client.get(f"/ledger/{path}").status_code == 404


def test_the_proof_verifies_offline_with_the_commands_on_the_page(client: Client, tmp_path: Path) -> None:
    answer = client.get("/ledger/blocks/5/chain")
    name = answer["Content-Disposition"].partition('filename="')[2].rstrip('"')
    file = tmp_path / name
    file.write_bytes(answer.getvalue())
    page = text_of(client, "/ledger/blocks/5/")
    genesis = selectors.chain_id()
    assert f"flxdr-agent verify {name} --genesis {genesis}" in page
    result = CliRunner().invoke(agent, ["verify", str(file), "--genesis", genesis, "--home", str(tmp_path / "home")])
    assert (result.exit_code, result.exception) == (0, None)
    block = Block.objects.get(height=5)
    assert f"Chain valid: 6 blocks, last {block.block_hash}" in result.stdout
    with file.open("rb") as lines:
        chain, bad = standalone.verify(lines, genesis)
    assert (chain.hash, bad) == (block.block_hash, None)
    changed = tmp_path / "changed.jsonl"
    changed.write_bytes(file.read_bytes().replace(b'"height":5,"header":"e', b'"height":5,"header":"f'))
    assert changed.read_bytes() != file.read_bytes()
    assert CliRunner().invoke(agent, ["verify", str(changed), "--genesis", genesis]).exit_code != 0


def test_the_tlog_proof_is_the_api_s(client: Client) -> None:
    assert client.get("/ledger/blocks/5/tlog-proof").content == tlog_proof(height=5).encode()


def test_late_approvals_are_apart(client: Client, consortium: Consortium) -> None:
    consortium.admit("org-d")
    proposal = consortium.release(4, [*MEMBERS, "org-d"])
    assert "after the seal" not in text_of(client, "/ledger/blocks/8/")
    consortium.approve(proposal, "org-d")
    page = text_of(client, "/ledger/blocks/8/")
    assert "Approvals that came after the seal" in page
    late = page.partition("after the seal")[2].partition("</table>")[0]
    assert "org-d" in late
    assert "verifies" in late


def test_statements_are_shown_with_what_they_say(client: Client, consortium: Consortium) -> None:
    assert "No statement yet" in text_of(client, "/ledger/blocks/5/")
    header = bytes(Block.objects.get(height=5).header)
    statement = statement_of(header, own_part("org-a", MEMBERS, update=None), chain_id=selectors.chain_id())
    envelope = sign_statement(statement, consortium.key("org-a"))
    record_statement(height=5, org_id="org-a", envelope=envelope, clock=consortium.clock)
    attested = text_of(client, "/ledger/blocks/5/").partition('id="statements"')[2].partition("</table>")[0]
    assert "agrees and verifies" in attested
    assert "trained, and says no more" in attested
    assert "macro_binary_f1: 0.9100 before, 0.9300 after" in attested


def test_what_was_withdrawn_says_so_everywhere(client: Client, consortium: Consortium) -> None:
    consortium.seal(consortium.propose_withdrawal(2))
    assert "withdrew this model" not in text_of(client, "/ledger/blocks/4/")
    for height in (5, 6):
        page = text_of(client, f"/ledger/blocks/{height}/")
        assert '<a href="/ledger/blocks/7/">Block 7</a> withdrew this model' in page
        assert "Propose withdrawal" not in page
    assert text_of(client, "/ledger/").count(">withdrawn</span>") == 2
    assert "it misses half of the scans" in text_of(client, "/ledger/blocks/7/")


# lineage


def test_the_lineage_shows_ancestors_and_what_branched_off(client: Client, consortium: Consortium) -> None:
    consortium.seal(consortium.propose_withdrawal(3))
    standing = Block.objects.get(height=5).model_hash
    consortium.release(4, MEMBERS, parent_model_hash=standing)
    newest = Block.objects.get(height=8)
    page = text_of(client, f"/ledger/lineage/{newest.model_hash}/")
    svg, table = page.partition("<svg")[2].partition("</svg>")[0], page.partition("<tbody>")[2]
    order = ["v4", "v3", "v2", "v1"]
    for part in (svg, table):
        places = [part.index(f"global {version}") for version in order]
        assert places == sorted(places)
    assert svg.count('class="withdrawn"') == 1
    assert table.count("branched off") == 1
    assert "1 to 3 of 3" in page
    assert f'href="/ledger/lineage/{newest.model_hash}/"' in text_of(client, "/ledger/blocks/8/")


def test_a_long_lineage_has_pages(client: Client, consortium: Consortium) -> None:
    for number in range(4, 36):
        consortium.release(number, MEMBERS)
    newest = selectors.head().model_hash
    page = text_of(client, f"/ledger/lineage/{newest}/")
    assert page.count("<circle") == 30
    assert page.count('class="edge"') == 29
    assert page.count('class="edge beyond"') == 1
    assert "1 to 30 of 35" in page
    page = text_of(client, f"/ledger/lineage/{newest}/?page=2")
    assert page.count("<circle") == 5
    assert page.count('class="edge"') == 4
    assert "31 to 35 of 35" in page
    assert "ends before this page" in text_of(client, f"/ledger/lineage/{newest}/?page=9")


@pytest.mark.parametrize("model_hash", ["0" * 64, "x", "%00", "..%2F"])
def test_unknown_models_have_no_lineage(client: Client, model_hash: str) -> None:
    assert client.get(f"/ledger/lineage/{model_hash}/").status_code == 404
