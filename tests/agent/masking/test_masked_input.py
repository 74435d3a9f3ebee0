"""An agent masks once, with those whose shares open, and sends the same bytes whatever it is told later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federation.agent import training
from federation.agent.errors import CheckFailed, Unreachable
from federation.masking import scaling
from federation.masking.steps import Step
from flxdr.core import dsse
from models_ml import codec
from privacy.secagg import client, masks, ring
from privacy.secagg.secrets import Secrets
from tests.agent.conftest import ORG, Bench, MakeBench
from tests.agent.flows import write_flows
from tests.agent.masking.masking_coordinator import Answer, MaskingCoordinator

Lie = Callable[[MaskingCoordinator, Answer], Answer]


def without(answer: Answer, *org_ids: str) -> Answer:
    return answer | {"sharers": [name for name in answer["sharers"] if name not in org_ids]}


def too_few(_: MaskingCoordinator, answer: Answer) -> Answer:
    return without(answer, "org-c", "org-d")


def without_the_agent(_: MaskingCoordinator, answer: Answer) -> Answer:
    return without(answer, ORG)


def one_kept_back(_: MaskingCoordinator, answer: Answer) -> Answer:
    return answer | {"shares": {name: share for name, share in answer["shares"].items() if name != "org-b"}}


def for_somebody_else(masking: MaskingCoordinator, answer: Answer) -> Answer:
    return share_of(answer, masking, sender="org-b", receiver="org-c")


def from_somebody_else(masking: MaskingCoordinator, answer: Answer) -> Answer:
    return share_of(answer, masking, sender="org-c", receiver=ORG)


def share_of(answer: Answer, masking: MaskingCoordinator, *, sender: str, receiver: str) -> Answer:
    """In place of what `org-b` sealed for the agent."""
    sealed = client.seal_shares(masking.peers[sender].secrets, sender, masking.group)[receiver]
    return answer | {"shares": answer["shares"] | {"org-b": dsse.encode_base64(sealed)}}


def garbage(_: MaskingCoordinator, answer: Answer) -> Answer:
    sealed = dsse.encode_base64(bytes(client.SEALED_BYTES))
    return answer | {"shares": answer["shares"] | {"org-b": sealed}}


def no_base64(_: MaskingCoordinator, answer: Answer) -> Answer:
    return answer | {"shares": answer["shares"] | {"org-b": "%"}}


def no_shares(_: MaskingCoordinator, answer: Answer) -> Answer:
    return {"sharers": answer["sharers"]}


def no_sharers(_: MaskingCoordinator, answer: Answer) -> Answer:
    return {"sharers": "org-a", "shares": answer["shares"]}


LIES: list[Lie] = [
    too_few,
    without_the_agent,
    one_kept_back,
    for_somebody_else,
    from_somebody_else,
    garbage,
    no_base64,
    no_shares,
    no_sharers,
]


def tell(masking: MaskingCoordinator, lie: Lie) -> None:
    masking.lies["shares"] = lambda honest: lie(masking, honest)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_nothing_is_masked_on_a_false_word_about_the_shares(masking: MaskingCoordinator, lie: Lie) -> None:
    masking.run_until(Step.MASKED_INPUT)
    tell(masking, lie)
    with pytest.raises(CheckFailed):
        masking.run(Step.MASKED_INPUT)
    assert not masking.posted["submit-gradient"]
    assert masking.bench.open().state.update_for(masking.config.round_id) is None
    del masking.lies["shares"]
    masking.run(Step.MASKED_INPUT)
    assert len(masking.posted["submit-gradient"]) == 1


def test_whose_share_does_not_open_is_named(masking: MaskingCoordinator) -> None:
    masking.run_until(Step.MASKED_INPUT)
    tell(masking, garbage)
    with pytest.raises(CheckFailed, match="the sealed share of 'org-b' does not open"):
        masking.run(Step.MASKED_INPUT)


def test_the_same_bytes_are_sent_again_whatever_changed(masking: MaskingCoordinator, tmp_path: Path) -> None:
    masking.run_until(Step.CONSISTENCY)
    write_flows(tmp_path / "conn.csv", seed=2)
    tell(masking, lambda _, answer: without(answer, "org-d"))
    masking.run(Step.MASKED_INPUT)
    first, again = masking.posted["submit-gradient"]
    assert first == again


def test_an_update_of_which_nobody_confirmed_the_arrival_is_sent_again(masking: MaskingCoordinator) -> None:
    masking.run_until(Step.MASKED_INPUT)
    masking.failing = {"submit-gradient"}
    with pytest.raises(Unreachable):
        masking.run(Step.MASKED_INPUT)
    masking.failing = set()
    masking.run(Step.MASKED_INPUT)
    assert len(masking.posted["submit-gradient"]) > 1
    assert len(set(masking.posted["submit-gradient"])) == 1


def test_after_a_crash_it_masks_with_the_sharers_of_the_first_time(
    masking: MaskingCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    masking.run_until(Step.MASKED_INPUT)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(training, "keep", die)
        with pytest.raises(KeyboardInterrupt):
            masking.run(Step.MASKED_INPUT)
    tell(masking, lambda _, answer: without(answer, "org-d"))
    with pytest.raises(CheckFailed, match="another story"):
        masking.run(Step.MASKED_INPUT)
    assert not masking.posted["submit-gradient"]


def test_what_leaves_is_the_update_under_its_masks(masking: MaskingCoordinator) -> None:
    masking.run_until(Step.CONSISTENCY)
    joined = masking.bench.open().state.masking.joined(masking.config.round_id)
    assert joined is not None
    (body,) = masking.posted["submit-gradient"]
    vector = ring.from_bytes(body, codec.flatten(codec.decode(joined.delta)).size, 32)
    seeds = client.mask_seeds(Secrets.from_seed(joined.seed), ORG, masking.group, masking.sharers)
    masks.subtract(vector, seeds)
    update = codec.flatten(codec.decode(joined.delta))
    weight = masking.roster.weights[ORG]
    assert np.array_equal(ring.from_ring(vector), scaling.weighted(update, weight, masking.config.frac_bits))
    assert weight == round(204 / 1024 * 2**16)


def test_an_agent_that_masks_only_trains_for_no_plain_round(make_bench: MakeBench) -> None:
    bench = make_bench(protections=("secagg",))
    bench.coordinator.start_round("edge-normaliser")
    with pytest.raises(CheckFailed, match="protection is 'plain'; expected: one of secagg"):
        bench.run_once()
    assert not bench.coordinator.submitted


@pytest.mark.parametrize("changes", [{"frac_bits": 24}, {"max_abs": 4}, {"step_seconds": 0}])
def test_a_masked_round_in_another_fixed_point_is_refused(four: Bench, changes: dict[str, int]) -> None:
    masking = MaskingCoordinator.start(four, **changes)
    with pytest.raises(CheckFailed):
        masking.run(Step.ADVERTISE)
    assert not masking.posted
