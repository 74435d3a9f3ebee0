"""The ledger's pages say what is known, on what evidence, and never more."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from typer.testing import CliRunner

from federation.agent.commands.app import app as agent
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.platform.models import AuditEvent
from ledger import selectors
from ledger.chain import standalone
from ledger.chain.statement import sign_statement, statement_of
from ledger.models import Block, Proposal, VerificationPass
from ledger.services import listeners, passes, verified
from ledger.services.checkpoints import tlog_proof
from ledger.services.genesis import ensure_genesis
from ledger.services.statements import record_statement
from tests.conftest import SentTasks
from tests.ledger.attested import own_part
from tests.ledger.conftest import empty_ledger
from tests.ledger.members import Consortium
from tests.site.dashboard.visitors import staff, superuser, text_of

pytestmark = pytest.mark.django_db
MEMBERS = ["org-a", "org-b", "org-c"]
__all__ = ["empty_ledger"]  # the fixture


@pytest.fixture
def consortium(empty_ledger: None, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Consortium:
    """genesis, three admissions, releases at heights 4 to 6"""
    monkeypatch.setattr(listeners, "_listeners", [])
    clock.advance(SystemClock().now() - clock.now() - timedelta(hours=1))
    ensure_genesis(clock=clock)
    made = Consortium(clock)
    made.admit(*MEMBERS)
    for number in (1, 2, 3):
        made.release(number, MEMBERS)
    return made


@pytest.fixture
def client(consortium: Consortium) -> Client:
    return superuser()


def verify(client: Client) -> str:
    answer = client.post("/verify-chain", {"next": "ledger"}, follow=True)
    assert answer.redirect_chain == [("/ledger/", 302)]
    return " ".join(answer.content.decode().split())


# what is claimed of the chain


def test_nothing_is_green_before_a_pass_ended(client: Client) -> None:
    page = text_of(client, "/ledger/")
    assert "not verified yet" in page
    assert "none has ended" in page
    assert "badge good" not in page
    assert f"manage.py verify_chain --genesis {selectors.chain_id()}" in page
    assert f"flxdr-agent verify chain.jsonl --genesis {selectors.chain_id()}" in page


def test_a_pass_is_shown_with_its_evidence(client: Client) -> None:
    page = verify(client)
    assert "valid: all 7 blocks verified" in page
    assert "by operator:root (request)" in page
    assert "blocks 0 to 6, every signature" in page
    assert "approved by 3 of 3 organisations, 3 needed" in page
    assert selectors.head().block_hash in page


def test_newer_blocks_take_the_green_away(client: Client, consortium: Consortium) -> None:
    verify(client)
    consortium.release(4, MEMBERS)
    page = text_of(client, "/ledger/")
    assert "valid up to block 6, 1 newer block not verified" in page
    assert "badge good" not in page


def test_an_old_pass_is_stale(client: Client) -> None:
    verify(client)
    VerificationPass.objects.update(began_at=SystemClock().now() - timedelta(hours=2, minutes=1))
    page = text_of(client, "/ledger/")
    assert "stale: valid when it was last verified" in page
    assert "badge good" not in page


def test_a_bad_block_is_named_with_what_is_wrong(client: Client) -> None:
    damage("UPDATE blocks SET model_version = 9 WHERE height = 5")
    page = verify(client)
    assert "INVALID at block 5: column_mismatch" in page
    assert '<a href="/ledger/blocks/5/">5</a>' in page
    for said in ("<code>model_version</code>", "<code>2</code>", "<code>9</code>", "blocks 5 to 6"):
        assert said in page
    assert "badge good" not in page


def test_a_chain_that_lost_its_verified_end_is_not_green(client: Client) -> None:
    verify(client)
    damage("DELETE FROM blocks WHERE height = 6")
    page = text_of(client, "/ledger/")
    assert "CHANGED: block 6 is not the one that was verified" in page
    assert "badge good" not in page


def test_a_due_pass_tells_its_progress(client: Client, sent_tasks: SentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "WHOLE_UP_TO", 0)
    assert "0 of 7 blocks so far, asked for by operator:root" in verify(client)
    VerificationPass.objects.update(blocks_done=4)
    assert "4 of 7 blocks so far" in text_of(client, "/ledger/")
    passes.make_due_pass(clock=SystemClock())
    page = text_of(client, "/ledger/")
    assert "so far" not in page
    assert "valid: all 7 blocks verified" in page


# the list


def heights(page: str) -> list[int]:
    rows = page.partition("<tbody>")[2].partition("</tbody>")[0].split('<td class="whole">')[1:]
    return [int(row.partition("/ledger/blocks/")[2].partition("/")[0]) for row in rows]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [6, 5, 4, 3, 2, 1, 0]),
        ("?type=release", [6, 5, 4]),
        ("?type=governance", [3, 2, 1]),
        ("?type=nonsense", []),
        ("?model=global", [6, 5, 4]),
        ("?model=x", []),
        ("?q=5", [5]),
        ("?q=round-2", [5]),
        ("?q=round-", [6, 5, 4]),
        ("?q=%00", []),
        ("?q=99999999999999999999", []),
        ("?q=%3Cb%3E", []),
        ("?before=3", [2, 1, 0]),
        ("?after=4", [6, 5]),
        ("?after=-1", [6, 5, 4, 3, 2, 1, 0]),
        ("?before=abc&from=2026-99-99&to=x", [6, 5, 4, 3, 2, 1, 0]),
        (f"?before={10**30}", [6, 5, 4, 3, 2, 1, 0]),
        ("?to=2001-01-01", []),
    ],
)
def test_filters(client: Client, query: str, found: list[int]) -> None:
    assert heights(text_of(client, f"/ledger/{query}")) == found


def test_a_hash_is_found_by_its_beginning(client: Client) -> None:
    block = Block.objects.get(height=5)
    for text in (block.block_hash, block.block_hash[:20], str(block.model_hash)[:20].upper()):
        assert heights(text_of(client, f"/ledger/?q={text}")) == [5]


def test_pages_follow_each_other(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flxdr.dashboard.ledger.reading.PAGE_SIZE", 3)
    seen, path = [], "/ledger/?model="
    while True:
        page = text_of(client, path)
        seen.append(heights(page))
        if 'rel="next"' not in page:
            break
        path = "/ledger/" + page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert seen == [[6, 5, 4], [3, 2, 1], [0]]
    back = page.partition('rel="prev" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert heights(text_of(client, f"/ledger/{back}")) == [3, 2, 1]
    assert heights(text_of(client, "/ledger/?after=-1")) == [2, 1, 0]


def test_queries_do_not_grow_with_the_chain(
    client: Client, consortium: Consortium, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(4, 14):
        consortium.release(number, MEMBERS)
    verify(client)
    lineage = Block.objects.get(height=16).model_hash
    for path, most in (
        ("/ledger/", 26),
        ("/ledger/?q=round-1", 30),
        ("/ledger/blocks/14/", 26),
        ("/ledger/proposals/", 12),
        ("/ledger/governance/", 14),
        ("/ledger/checkpoint/", 14),
        (f"/ledger/lineage/{lineage}/", 12),
    ):
        with django_assert_max_num_queries(most):
            client.get(path)


# a block


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
    damage(statement, value)
    page = text_of(client, "/ledger/blocks/5/")
    for each in (*said, "checked now: it does NOT hold"):
        assert each in page
    assert "all of it holds" not in page


def damage(statement: str, *values: Any) -> None:
    """Change rows as somebody with the database's password would: triggers first."""
    with connection.cursor() as cursor:
        for table in ("blocks", "approvals", "tree_nodes"):
            on_postgresql = connection.vendor == "postgresql"
            cursor.execute(f"DROP TRIGGER IF EXISTS {table}_append_only" + (f" ON {table}" if on_postgresql else ""))
        cursor.execute(statement, values)


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


# decisions


def test_proposals_say_who_voted_and_who_did_not(client: Client, consortium: Consortium) -> None:
    proposal = consortium.countersign(consortium.propose_release(4, MEMBERS))
    consortium.approve(proposal, "org-a")
    queued = consortium.propose_withdrawal(3)
    page = text_of(client, "/ledger/proposals/")
    assert "2 wait now" in page
    card = page.partition(f'id="proposal-{proposal.pk}"')[2].partition("</section>")[0]
    assert "<strong>1 of 3</strong> approvals needed, 3 may vote" in card
    assert "org-b, org-c" in card.partition("Not voted yet")[2]
    assert "Waits for the open proposal" in page.partition(f'id="proposal-{queued.pk}"')[2]
    consortium.reject(proposal, "org-b", "<b>worse</b>")
    page = text_of(client, "/ledger/proposals/?status=rejected")
    assert "org-b rejects: <q>&lt;b&gt;worse&lt;/b&gt;</q>" in page
    assert page.count('id="proposal-') == 1


@pytest.mark.parametrize("query", ["?status=nonsense", "?number=0", f"?number={10**14}", "?number=99&page=abc"])
def test_no_proposal(client: Client, query: str) -> None:
    assert "No proposal matches" in text_of(client, f"/ledger/proposals/{query}")


def test_a_withdrawal_is_proposed_with_its_reason(client: Client) -> None:
    path = "/ledger/blocks/5/withdraw"
    assert 'href="/ledger/blocks/5/withdraw"' in text_of(client, "/ledger/blocks/5/")
    assert "This field is required" in client.post(path, {"reason": " "}).content.decode()
    page = client.post(path, {"reason": "false positives"}, follow=True).content.decode()
    proposal = Proposal.objects.get(subject="withdraw_release global v2")
    assert f"The withdrawal is proposal {proposal.pk}" in page
    assert (
        AuditEvent.objects.get(kind="governance.proposed", subject=f"proposal {proposal.pk}").actor == "operator:root"
    )
    refused = client.post(path, {"reason": "another reason"}).content.decode()
    assert "says another thing about the same" in refused
    assert "another reason</textarea>" in refused


def test_only_releases_are_withdrawn(client: Client) -> None:
    assert client.get("/ledger/blocks/3/withdraw").status_code == 404


def test_members_and_policy(client: Client, consortium: Consortium) -> None:
    consortium.seal(consortium.propose_revocation("org-c"))
    page = text_of(client, "/ledger/governance/")
    assert "2 organisations with a key in force" in page
    assert "more than 2/3 of the voters" in page
    assert "revokes a key of org-c" in page
    assert "the laptop was stolen" in page
    assert '<a href="/ledger/blocks/7/">block 7</a>' in page.partition("out of force")[2]


def test_the_checkpoint_can_be_taken_away(client: Client) -> None:
    note = client.get("/ledger/checkpoint/note").content.decode()
    page = text_of(client, "/ledger/checkpoint/")
    assert note.splitlines()[0] in page
    assert "0 of 3 members" in page
    assert "No checkpoint of this chain was cosigned so far" in page
    document: dict[str, Any] = client.get("/ledger/checkpoint/document").json()
    assert (document["size"], document["note"]) == (7, note)


@pytest.mark.parametrize("path", ["checkpoint/", "checkpoint/note", "checkpoint/document", "blocks/5/tlog-proof"])
def test_a_damaged_tree_is_told_not_a_server_error(client: Client, path: str) -> None:
    damage("DELETE FROM tree_nodes WHERE position = %s", 6)
    answer = client.get(f"/ledger/{path}", follow=True)
    assert answer.redirect_chain == [("/ledger/", 302)]
    assert "the stored tree has no node 6" in answer.content.decode()


# who may


PATHS = ("", "blocks/5/", "blocks/5/chain", "governance/", "checkpoint/", "checkpoint/note", "proposals/")


def test_a_viewer_reads_and_does_not_act(consortium: Consortium) -> None:
    viewer = staff("ledger.view_block", "ledger.view_proposal")
    for path in PATHS:
        assert viewer.get(f"/ledger/{path}").status_code == 200, path
    assert "Propose withdrawal" not in text_of(viewer, "/ledger/blocks/5/")
    assert viewer.get("/ledger/blocks/5/withdraw").status_code == 403
    assert viewer.post("/ledger/blocks/5/withdraw", {"reason": "x"}).status_code == 403
    assert not Proposal.objects.filter(type="governance", subject__startswith="withdraw").exists()


def test_others_see_nothing(consortium: Consortium) -> None:
    nobody = staff("platform.view_auditevent")
    for path in PATHS:
        assert nobody.get(f"/ledger/{path}").status_code == 403, path
        answer = Client(headers={"host": "localhost"}).get(f"/ledger/{path}")
        assert answer.status_code == 302
        assert answer["Location"].startswith("/admin/login/")


def test_no_inline_script_or_style(client: Client) -> None:
    for path in PATHS:
        answer = client.get(f"/ledger/{path}")
        if not answer.streaming:
            assert " style=" not in answer.content.decode()
