"""A round's life as a list of what happened, and as a bar over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from federation.models import TrainingRound
from federation.selectors.round_parts import Attendance
from flxdr.dashboard.charts.phases import Mark, Phase, phase_bar
from flxdr.dashboard.names import listed
from flxdr.dashboard.states import Tone, tone_of, word_of
from flxdr.platform.models import AuditEvent
from ledger.models import Approval, Proposal

EVENT_KINDS = (
    "round.started",
    "round.step",
    "round.transition",
    "round.updates_discarded",
    "confirmation.requested",
    "confirmation.cancelled",
    "confirmation.expired",
    "confirmation.confirmed",
)
SUBMISSIONS_NAMED = 12
VOTES_NAMED = 12
Status = TrainingRound.Status
_HUNDREDTH = 100
_SUBMISSION, _VOTE = 1, 4
_RANKS = {
    ("round.started", ""): 0,
    ("round.transition", Status.AGGREGATING.value): 2,
    ("round.transition", Status.VERIFYING.value): 3,
}


@dataclass(frozen=True)
class Happening:
    """A line of the list: when, what, by whom or why, and how it is to be taken."""

    at: datetime
    what: str
    detail: str = ""
    tone: Tone = "none"
    rank: int = 9
    """Among what happened at the same moment: a cause comes before its effect."""


@dataclass(frozen=True)
class Votes:
    """The answers to a round's proposal, beside those who may still answer."""

    proposal: Proposal
    approving: Sequence[Approval]
    rejecting: Sequence[Approval]
    given_at: Mapping[str, datetime]
    """By organisation, when the coordinator recorded its answer."""

    def at(self, answer: Approval) -> datetime:
        return self.given_at.get(answer.org_id, answer.created_at)

    @property
    def waiting(self) -> Sequence[str]:
        answered = {answer.org_id for answer in (*self.approving, *self.rejecting)}
        return [org_id for org_id in self.proposal.voters if org_id not in answered]

    @property
    def is_open(self) -> bool:
        return self.proposal.status == Proposal.Status.OPEN


def history_of(
    training_round: TrainingRound,
    events: Sequence[AuditEvent],
    arrivals: Sequence[tuple[datetime, str]],
    attendance: Attendance,
    votes: Votes | None,
) -> list[Happening]:
    """What happened, oldest first; many updates, and many votes, are one line each."""
    started = [_of_event(event) for event in events if event.kind == "round.started"]
    first = started or [Happening(training_round.started_at, _("Started"), tone="active", rank=0)]
    answers = _submissions(arrivals, attendance) + ([] if votes is None else _votes(votes))
    rest = [_of_event(event) for event in events if event.kind != "round.started"]
    return sorted([*first, *answers, *rest], key=lambda line: (line.at, line.rank))


def bar_of(
    training_round: TrainingRound,
    events: Sequence[AuditEvent],
    arrivals: Sequence[tuple[datetime, str]],
    now: datetime,
) -> SafeString:
    """The phases of a round over time; of one that is open, up to now, in steps of a hundredth of its length."""
    is_collecting = training_round.status == Status.IN_PROGRESS
    deadline = training_round.deadline if is_collecting else None
    present = training_round.finished_at or _until_now(training_round, now)
    closed = training_round.closed_at or present
    phases = _collection(training_round, events, closed)
    if training_round.closed_at and (training_round.finished_at is None or training_round.finished_at > closed):
        proposed = _time_of(events, Status.VERIFYING) or present
        phases.append(Phase(_("aggregation"), closed, max(proposed, closed), "fill-2"))
        if training_round.status != Status.AGGREGATING and _time_of(events, Status.VERIFYING):
            phases.append(Phase(_("approvals"), max(proposed, closed), max(present, proposed), "fill-3"))
    if training_round.status == Status.FAILED:
        last = phases[-1]
        phases[-1] = Phase(last.name, last.start, last.end, "fill-bad")
    marks = [Mark(_("update of %(org)s") % {"org": org_id}, at) for at, org_id in arrivals]
    title = _("How %(round)s went") % {"round": training_round.round_id}
    return phase_bar(phases, marks, title=title, deadline=deadline)


def _time_of(events: Sequence[AuditEvent], target: TrainingRound.Status) -> datetime | None:
    moves = [event.at for event in events if event.kind == "round.transition" and event.data.get("to") == target.value]
    return moves[-1] if moves else None


def _until_now(training_round: TrainingRound, now: datetime) -> datetime:
    """Now, as coarse as the picture can show it: an unchanged round stays the same bytes for a while."""
    start = training_round.started_at
    unit = max((max(training_round.deadline, now) - start) / _HUNDREDTH, timedelta(seconds=1))
    return start + (max(now, start) - start) // unit * unit


def _collection(training_round: TrainingRound, events: Sequence[AuditEvent], closed: datetime) -> list[Phase]:
    """One phase, or those of a masked round's steps."""
    begun = [(event.at, str(event.data.get("to", ""))) for event in events if event.kind == "round.step"]
    if not training_round.step:
        return [Phase(_("collection"), training_round.started_at, closed, "fill-1")]
    starts = [(training_round.started_at, "advertise"), *begun]
    ends = [at for at, _step in starts[1:]] + [closed]
    return [
        Phase(word_of(step), at, end, "fill-1" if place % 2 == 0 else "fill-4")
        for place, ((at, step), end) in enumerate(zip(starts, ends, strict=True))
    ]


def _of_event(event: AuditEvent) -> Happening:
    what, detail, tone = _LINES[event.kind](event.data, event.actor)
    return Happening(event.at, what, detail, tone, _RANKS.get((event.kind, str(event.data.get("to", ""))), 9))


Line = tuple[str, str, Tone]


def _started(_data: Mapping[str, object], actor: str) -> Line:
    return _("Started"), _("by %(actor)s") % {"actor": actor}, "active"


def _step(data: Mapping[str, object], _actor: str) -> Line:
    dropped = data.get("dropped")
    names = dropped if isinstance(dropped, list) else []
    return (
        _("Step: %(step)s") % {"step": word_of(str(data.get("to", "")))},
        _("without %(names)s") % {"names": listed(names)} if names else "",
        "warn" if names else "none",
    )


def _transition(data: Mapping[str, object], actor: str) -> Line:
    target = str(data.get("to", ""))
    what = {
        Status.AGGREGATING.value: _("Collection closed"),
        Status.VERIFYING.value: _("Aggregated and proposed"),
        Status.COMPLETED.value: _("Released"),
        Status.FAILED.value: _("Failed"),
    }.get(target, word_of(target))
    reason = str(data.get("reason", ""))
    by = "" if actor == "coordinator" else " " + _("by %(actor)s") % {"actor": actor}
    return what, reason + by, tone_of(target)


def _discarded(data: Mapping[str, object], _actor: str) -> Line:
    return _("Files of the updates discarded"), _("as FL_UPDATE_RETENTION_DAYS asks"), "none"


def _asked(data: Mapping[str, object], actor: str) -> Line:
    return _("Abort asked for"), _said(data, actor), "warn"


def _given_up(data: Mapping[str, object], actor: str) -> Line:
    return _("Request to abort closed"), _("by %(actor)s") % {"actor": actor}, "none"


def _confirmed(data: Mapping[str, object], actor: str) -> Line:
    return _("Abort confirmed"), _("by %(actor)s") % {"actor": actor}, "warn"


def _said(data: Mapping[str, object], actor: str) -> str:
    by = _("by %(actor)s") % {"actor": actor}
    return f"{by}: {data['reason']}" if data.get("reason") else by


_LINES: Mapping[str, Callable[[Mapping[str, object], str], Line]] = {
    "round.started": _started,
    "round.step": _step,
    "round.transition": _transition,
    "round.updates_discarded": _discarded,
    "confirmation.requested": _asked,
    "confirmation.cancelled": _given_up,
    "confirmation.expired": _given_up,
    "confirmation.confirmed": _confirmed,
}


def _submissions(arrivals: Sequence[tuple[datetime, str]], attendance: Attendance) -> list[Happening]:
    if attendance.submitted <= SUBMISSIONS_NAMED:
        return [
            Happening(at, _("%(org)s submitted") % {"org": org_id}, "", "good", _SUBMISSION) for at, org_id in arrivals
        ]
    assert attendance.first_at is not None
    assert attendance.last_at is not None
    count = {"count": attendance.submitted}
    return [
        Happening(attendance.first_at, _("First update"), "", "good", _SUBMISSION),
        Happening(attendance.last_at, _("Newest of %(count)d updates") % count, "", "good", _SUBMISSION),
    ]


def _votes(votes: Votes) -> list[Happening]:
    approving = votes.approving
    lines = [
        Happening(votes.at(each), _("%(org)s approves") % {"org": each.org_id}, "", "good", _VOTE) for each in approving
    ]
    if len(lines) > VOTES_NAMED:
        count = {"count": len(lines)}
        lines = [Happening(votes.at(approving[-1]), _("Newest of %(count)d approvals") % count, "", "good", _VOTE)]
    lines += [
        Happening(votes.at(each), _("%(org)s rejects") % {"org": each.org_id}, each.reason, "bad", _VOTE)
        for each in votes.rejecting
    ]
    return lines
