"""The ledger's pages say what is known, on what evidence, and never more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from flxdr.core.clock import SystemClock
from flxdr.platform.models import AuditEvent
from ledger import selectors
from ledger.models import Block, Proposal, VerificationPass
from ledger.services import passes, verified
from tests.conftest import SentTasks
from tests.ledger.conftest import empty_ledger
from tests.ledger.members import Consortium, tamper
from tests.site.dashboard.sealed_chain import MEMBERS, client, consortium, verify
from tests.site.dashboard.visitors import staff, text_of

pytestmark = pytest.mark.django_db
__all__ = ["client", "consortium", "empty_ledger"]  # fixtures


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
    tamper("UPDATE blocks SET model_version = 9 WHERE height = 5")
    page = verify(client)
    assert "INVALID at block 5: column_mismatch" in page
    assert '<a href="/ledger/blocks/5/">5</a>' in page
    for said in ("<code>model_version</code>", "<code>2</code>", "<code>9</code>", "blocks 5 to 6"):
        assert said in page
    assert "badge good" not in page


def test_a_chain_that_lost_its_verified_end_is_not_green(client: Client) -> None:
    verify(client)
    tamper("DELETE FROM blocks WHERE height = 6")
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
    tamper("DELETE FROM tree_nodes WHERE position = %s", 6)
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
