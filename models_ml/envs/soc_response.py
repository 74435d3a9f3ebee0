"""One simulated incident at a time, as a Gymnasium environment.

It shows what a policy sees of an incident and plays `models_ml.response.episodes` on a bank of them. A simulation: what
actions do to attacks is assumed (`models_ml.response.world`), only the incidents come from an organisation's records.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from models_ml.families import FAMILIES
from models_ml.response.actions import ACTIONS, NAMES
from models_ml.response.alerts import STATE
from models_ml.response.episodes import Episodes, draw
from models_ml.response.incidents import Incidents

Float32 = npt.NDArray[np.float32]


class SocResponse(gym.Env[Float32, np.int64]):
    """Actions are those of `models_ml.response.actions`; a reward is minus the cost in hours of an analyst.

    `info["action_mask"]` (int8, as `Discrete.sample` takes it) has 1 where an action may be taken; a forbidden one is
    replaced by `monitor`, and `info["action"]` names what was taken. An episode ends within `HORIZON` steps and is
    never truncated: the state tells how many actions are left.

    Args:
        bank: incidents of which it is known what they were.

    Raises:
        ValueError: the bank is empty or has unlabelled incidents.
    """

    metadata: dict[str, Any] = {"render_modes": []}
    render_mode: str | None = None

    def __init__(self, bank: Incidents) -> None:
        if len(bank) != len(bank.labelled()) or not len(bank):
            raise ValueError("the environment needs incidents of which it is known what they were")
        self._bank = bank
        self._episode: Episodes | None = None
        high = np.full(STATE, 3.0, dtype=np.float32)
        self.observation_space = gym.spaces.Box(-high, high, dtype=np.float32)
        self.action_space = gym.spaces.Discrete(len(ACTIONS))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32, dict[str, Any]]:
        """Begin with an incident drawn from the bank; there are no options."""
        super().reset(seed=seed)
        self._episode = draw(self._bank, 1, self.np_random)
        return self._episode.observe()[0], self._info(self._episode)

    def step(self, action: np.int64) -> tuple[Float32, float, bool, bool, dict[str, Any]]:
        """Take an action.

        Raises:
            RuntimeError: no incident is open: the environment was not reset, or the episode is over.
        """
        episode = self._episode
        if episode is None or episode.done[0]:
            raise RuntimeError("no incident is open; call reset()")
        before = episode.alerts.taken[0]
        reward = float(episode.step(np.array([action]))[0])
        taken = int(np.argmax(episode.alerts.taken[0] - before))
        info = self._info(episode) | {"action": NAMES[taken]}
        if episode.done[0]:
            info["truth"] = FAMILIES[int(episode.truth[0])]
        return episode.observe()[0], reward, bool(episode.done[0]), False, info

    def _info(self, episode: Episodes) -> dict[str, Any]:
        return {"action_mask": episode.allowed()[0].astype(np.int8)}
