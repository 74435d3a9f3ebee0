"""What `docs/telemetry.md` says of events is what a federation records."""

from __future__ import annotations

import re

import pytest

from federation.services import rounds
from flxdr.core.clock import ManualClock
from flxdr.dashboard.audit.wording import SENTENCES
from flxdr.env import BASE_DIR
from flxdr.platform.models import OutboxEvent
from flxdr.platform.telemetry import lease, outbox
from flxdr.platform.telemetry.outbox import drain
from flxdr.platform.telemetry.sinks.interface import SEND_SECONDS
from tests.platform.events import ListSink
from tests.support.federation import SimulatedFederation, constant_delta, shapes_of

DOCUMENT = (BASE_DIR / "docs" / "telemetry.md").read_text(encoding="utf-8")
KINDS = dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (.+) \|$", DOCUMENT, flags=re.MULTILINE))
MODEL = "edge-normaliser"


def test_every_kind_is_in_the_table() -> None:
    assert sorted(KINDS) == sorted(SENTENCES)


def test_the_figures() -> None:
    text = " ".join(DOCUMENT.split())
    assert f"a lease of {lease.LEASE.seconds} seconds" in text
    assert f"at most {outbox.BATCH} events each" in text
    assert f"at most {SEND_SECONDS:.0f} seconds a batch" in text
    assert outbox.KEPT.days == 7, "a week"
    assert outbox.MOST_DOUBTFUL == 50, "fifty refusals"


@pytest.mark.django_db
def test_the_streams_of_a_round_and_of_admissions(clock: ManualClock) -> None:
    federation = SimulatedFederation(clock)
    federation.enrol("org-a", "org-b")
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    federation.submit_all(started, constant_delta(shapes_of(MODEL), 1))
    federation.settle()
    sink = ListSink()
    drain(sink=sink, clock=clock)
    assert not OutboxEvent.objects.filter(sent_at=None).exists()
    assert {len(event) for event in sink.events} == {8}
    for event in sink.events:
        said, stream = KINDS[event["kind"]], event["stream"]
        if said == "the round":
            assert stream == started.round_id, event
        elif said == "`chain`":
            assert stream == "chain", event
        elif said == "the round or `chain`":
            about = event["data"].get("type", "")
            assert stream in {"release": (started.round_id,), "": (started.round_id, "chain")}.get(about, ("chain",))
        else:
            assert stream == event["subject"], event
    of_the_round = [event["kind"] for event in sink.events if event["stream"] == started.round_id]
    assert of_the_round[0] == "round.started"
    assert set(of_the_round) >= {
        "submission.accepted",
        "round.transition",
        "proposal.opened",
        "approval.recorded",
        "block.sealed",
        "model.released",
    }
