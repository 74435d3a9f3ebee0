"""A crash between any two writes and sends: every message goes out with one content, and secrets end with the round."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from federation.agent import files
from federation.agent.client import Coordinator
from federation.agent.errors import CheckFailed
from federation.agent.masking.book import MaskingBook
from federation.agent.state import State
from federation.masking.steps import Step, following
from tests.agent.conftest import Bench
from tests.agent.masking.masking_coordinator import MaskingCoordinator
from tests.support.masking import STEPS

MESSAGES = {"advertise", "shares", "submit-gradient", "consistency", "unmask"}
STATIONS: tuple[tuple[Any, str], ...] = (
    (MaskingBook, "join"),
    (MaskingBook, "tell"),
    (MaskingBook, "forget"),
    (files, "write_durably"),
    (State, "prepare_update"),
    (State, "finish_update"),
    (Coordinator, "post_bytes"),
)
"""Where an agent writes or sends something in a masked round."""


class Killed(BaseException):
    """The process is gone: no handler of its own runs."""


class Stations:
    """Counts what the agent writes and sends, and kills it behind one of these places, before the next."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = 0
        self.deadly = -1
        for owner, name in STATIONS:
            monkeypatch.setattr(owner, name, self._watched(getattr(owner, name)))

    def _watched(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            result = original(*arguments, **named)
            self.passed += 1
            if self.passed == self.deadly:
                raise Killed
            return result

        return call


def test_a_crash_at_any_place_changes_no_message(four: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stations = Stations(monkeypatch)
    for place in count(1):
        masking = MaskingCoordinator.start(four, round_id=f"round-{place}")
        stations.passed, stations.deadly = 0, place
        agent = four.open()
        for step in STEPS:
            try:
                masking.run(step, agent)
            except Killed:
                agent = four.open()
                masking.run(step, agent)
        assert masking.posted.keys() == MESSAGES
        for message, bodies in masking.posted.items():
            assert len(set(bodies)) == 1, (place, message)
        if stations.passed < place:
            break
    assert place > len(STATIONS)


def written(bench: Bench) -> bytes:
    """Every byte in the agent's home."""
    return b"".join(path.read_bytes() for path in bench.home.folder.rglob("*") if path.is_file())


def test_seed_and_update_are_overwritten_when_the_round_is_unmasked(masking: MaskingCoordinator) -> None:
    masking.run_until(Step.UNMASK)
    joined = masking.bench.open().state.masking.joined(masking.config.round_id)
    assert joined is not None
    tensors = joined.delta[-256:]
    assert joined.seed in written(masking.bench)
    assert tensors in written(masking.bench)
    masking.run(Step.UNMASK)
    assert joined.seed not in written(masking.bench)
    assert tensors not in written(masking.bench)
    assert masking.bench.open().state.masking.joined(masking.config.round_id) is None


def test_those_of_a_round_that_came_to_nothing_are_overwritten_by_the_next(masking: MaskingCoordinator) -> None:
    masking.run_until(Step.MASKED_INPUT)
    joined = masking.bench.open().state.masking.joined(masking.config.round_id)
    assert joined is not None
    later = MaskingCoordinator.start(masking.bench, round_id="another-round")
    later.run(Step.ADVERTISE)
    assert joined.seed not in written(masking.bench)
    assert json.loads(later.posted["advertise"][0]) != json.loads(masking.posted["advertise"][0])


@pytest.mark.parametrize("last", [Step.SHARES, Step.UNMASK])
def test_a_round_is_never_joined_again(masking: MaskingCoordinator, last: Step) -> None:
    masking.run_until(following(last, masking.config))
    MaskingCoordinator.start(masking.bench, round_id="another-round").run(Step.ADVERTISE)
    masking.offer_again()
    with pytest.raises(CheckFailed, match="this home has left"):
        masking.run(Step.ADVERTISE)
    assert len(masking.posted["advertise"]) == 1
