from __future__ import annotations

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from models_ml.envs.soc_response import SocResponse
from models_ml.families import FAMILIES, UNLABELLED
from models_ml.response import bounds, world
from models_ml.response.actions import ACTIONS, CLOSE_BENIGN, COLLECT_EVIDENCE, DISRUPTIVE, ISOLATE_HOST
from models_ml.response.alerts import HORIZON
from models_ml.response.episodes import draw
from models_ml.response.incidents import Incidents
from models_ml.response.judging import by_chance, by_playbook, by_watching, gain, play
from tests.models_ml.response.banks import bank

BANK = bank()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_family(name: str) -> Incidents:
    return BANK.select(BANK.truth == FAMILIES.index(name))


def test_the_environment_is_a_gymnasium_environment() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(SocResponse(BANK), skip_render_check=True)


def test_an_environment_plays_what_the_seed_says_and_masks_what_it_must() -> None:
    env = SocResponse(BANK)

    def episode(seed: int) -> list[tuple[float, str]]:
        _, info = env.reset(seed=seed)
        env.action_space.seed(seed)
        steps, over = [], False
        while not over:
            action = env.action_space.sample(info["action_mask"])
            state, reward, over, truncated, info = env.step(action)
            assert env.observation_space.contains(state)
            assert not truncated
            steps.append((reward, info["action"]))
        assert info["truth"] in FAMILIES
        return steps

    assert [episode(seed) for seed in range(30)] == [episode(seed) for seed in range(30)]
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.int64(0))
    for seed in range(20):
        _, info = env.reset(seed=seed)
        if not info["action_mask"][ISOLATE_HOST]:
            *_, info = env.step(np.int64(ISOLATE_HOST))
            assert info["action"] == "monitor"
            break
    else:
        pytest.fail("no incident with a low score among twenty")


def test_only_incidents_of_known_truth_can_be_played() -> None:
    unknown = BANK.select(np.arange(3))
    unknown.truth[0] = UNLABELLED
    with pytest.raises(ValueError, match="known what they were"):
        SocResponse(unknown)
    with pytest.raises(ValueError, match="known what they were"):
        draw(BANK.select(np.arange(0)), 4, rng())


@pytest.mark.parametrize("family", FAMILIES)
def test_watching_returns_what_is_computed_exactly(family: str) -> None:
    played = play(of_family(family), by_watching, count=500, seed=1)
    np.testing.assert_allclose(played.returns, played.nothing)
    assert played.normalised == pytest.approx(0, abs=1e-12)


def test_nobody_beats_the_best_response_to_the_truth() -> None:
    for family in FAMILIES:
        for responder in (by_playbook, by_chance(3)):
            played = play(of_family(family), responder, count=1000, seed=5)
            error = played.returns.std() / len(played.returns) ** 0.5
            assert played.returns.mean() <= played.best.mean() + 3 * error
    assert (bounds.best() >= bounds.nothing()).all()


def test_the_best_response_to_a_benign_incident_is_to_close_it() -> None:
    assert bounds.best()[0] == pytest.approx(-world.EFFORT[CLOSE_BENIGN])


def test_the_playbook_is_a_yardstick_above_chance_and_watching() -> None:
    playbook = play(BANK, by_playbook, count=3000, seed=2)
    chance = play(BANK, by_chance(0), count=3000, seed=2)
    assert gain(playbook, chance)[1] > 0
    assert gain(playbook, play(BANK, by_watching, count=3000, seed=2))[1] > 0
    assert playbook.disruptive_per_benign < chance.disruptive_per_benign
    with pytest.raises(ValueError, match="same episodes"):
        gain(playbook, play(BANK, by_watching, count=3000, seed=3))


def test_closing_an_attack_costs_all_the_damage_that_follows() -> None:
    episodes = draw(of_family("Exfiltration"), 200, rng(4))
    open_to_it = episodes.allowed()[:, CLOSE_BENIGN]
    rewards = episodes.step(np.full(200, CLOSE_BENIGN))
    left = world.DAMAGE_LEFT[episodes.truth, 0] * episodes.stakes
    np.testing.assert_allclose(rewards[open_to_it], -(world.EFFORT[CLOSE_BENIGN] + left)[open_to_it])
    assert 0 < open_to_it.sum() < 200
    assert (episodes.done == open_to_it).all()


def test_evidence_sharpens_what_is_known() -> None:
    episodes = draw(BANK, 4000, rng(5))
    attack, before = episodes.truth > 0, episodes.alerts.score
    episodes.step(np.full(4000, COLLECT_EVIDENCE))
    after = episodes.alerts.score
    assert np.square(after - attack).mean() < 0.5 * np.square(before - attack).mean()


def test_what_is_over_costs_nothing_more_and_all_is_over_in_time() -> None:
    episodes = draw(BANK, 300, rng(6))
    for step in range(HORIZON):
        assert not episodes.done.all(), step
        over = episodes.done.copy()
        rewards = episodes.step(by_playbook(episodes))
        assert (rewards <= 0).all()
        assert (rewards[over] == 0).all()
    assert episodes.done.all()


def test_half_of_the_incidents_are_benign_and_families_are_drawn_evenly() -> None:
    truth = draw(BANK, 8000, rng(7)).truth
    shares = np.bincount(truth, minlength=len(FAMILIES)) / 8000
    assert shares[0] == pytest.approx(world.BENIGN_SHARE, abs=0.03)
    np.testing.assert_allclose(shares[1:], (1 - world.BENIGN_SHARE) / (len(FAMILIES) - 1), atol=0.015)


def test_no_organisation_learns_that_there_are_only_the_attacks_that_it_met() -> None:
    for family in ("Benign", "C2"):
        truth = draw(of_family(family), 4000, rng(8)).truth
        own = truth == FAMILIES.index(family)
        assert 0.8 < own.mean() < 0.95
        assert len(np.unique(truth)) == len(FAMILIES)


def test_the_numbers_of_the_world_are_costs_and_chances() -> None:
    assert ((world.CONTAINS >= 0) & (world.CONTAINS <= 1)).all()
    assert not world.CONTAINS[:, ~DISRUPTIVE].any()
    assert (world.EFFORT > 0).all()
    assert ((world.DISRUPTION > 0) == DISRUPTIVE).all()
    assert world.DAMAGE.shape == (len(FAMILIES), HORIZON + world.LATE)
    assert not world.DAMAGE[0].any()
    assert len(world.EFFORT) == len(ACTIONS)
