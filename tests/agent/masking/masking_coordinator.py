"""A coordinator of masked rounds for one real agent: simulated peers that mask honestly, and places to lie."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from federation import statements
from federation.agent.session import Agent
from federation.masking.roster import Roster
from federation.masking.steps import Step
from federation.round_config import RoundConfig
from flxdr.core import dsse
from flxdr.core.keys import PrivateKey
from privacy.secagg import client
from privacy.secagg.group import Group
from privacy.secagg.secrets import Secrets
from tests.agent.conftest import ORG, Bench
from tests.support.masking import STEPS

MODEL = "edge-normaliser"
SAMPLES = 1024
Answer = dict[str, Any]


@dataclass
class Peer:
    """An organisation of which the coordinator shows what is signed with its key."""

    org_id: str
    key: PrivateKey
    seed: bytes

    @property
    def secrets(self) -> Secrets:
        return Secrets.from_seed(self.seed)

    def advertisement(self, config: RoundConfig, **changes: Any) -> Answer:
        said: dict[str, Any] = {
            "config": config,
            "org": self.org_id,
            "samples": SAMPLES,
            "mask_key": self.secrets.mask_key,
            "share_key": self.secrets.share_key,
            "seed_commitment": self.secrets.seed_commitment,
            "draw_commitment": "d" * 64,
        }
        return self.signed(statements.advertisement(**(said | changes)), dsse.ADVERTISEMENT_TYPE)

    def signed(self, statement: bytes, kind: str) -> Answer:
        """An entry of the coordinator's answers."""
        return {
            "org_id": self.org_id,
            "statement": dsse.encode_base64(statement),
            "key_id": self.key.public.key_id,
            "signature": dsse.encode_base64(dsse.sign(self.key, kind, statement)),
        }


@dataclass
class MaskingCoordinator:
    """A masked round of the agent and its peers, at the step that the test says.

    Attributes:
        sharers, survivors: as the coordinator tells them.
        lies: by what is asked for (`roster`, `shares`, `survivors`, `consistency`), what becomes of the honest answer.
        posted: by message, the bodies that the agent sent, in order.
        failing: messages that are received and not answered.
    """

    bench: Bench
    peers: dict[str, Peer]
    config: RoundConfig
    sharers: list[str]
    survivors: list[str]
    step: Step = Step.ADVERTISE
    lies: dict[str, Callable[[Answer], Answer]] = field(default_factory=dict)
    posted: defaultdict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    failing: set[str] = field(default_factory=set)

    @classmethod
    def start(cls, bench: Bench, **changes: Any) -> MaskingCoordinator:
        """Start a round with every member of the bench's federation."""
        federation = bench.coordinator
        peers = {
            name: Peer(name, key, hashlib.sha256(name.encode()).digest()) for name, key in federation.peers.items()
        }
        fields: dict[str, Any] = {
            "protection": "secagg",
            "frac_bits": 22,
            "step_seconds": 60,
            "min_orgs": 3,
            "weighting": "samples",
        }
        config = federation.start_round(MODEL, **(fields | changes))
        started = cls(bench, peers, config, sorted(peers), sorted(peers))
        started._install()
        return started

    def offer_again(self) -> None:
        """After another round was started: offer this one."""
        self.bench.coordinator.config = self.config
        self._install()

    def _install(self) -> None:
        lie, prefix = self.bench.coordinator.lie, f"federation/round/{self.config.round_id}"
        lie["federation/round/current"] = self._offered
        lie["federation/round/submit-gradient"] = self._received
        for name in ("advertise", "roster", "shares", "survivors", "consistency", "unmask"):
            lie[f"{prefix}/{name}"] = self._answered

    def run(self, step: Step, agent: Agent | None = None) -> None:
        """A turn of the agent while the round is at `step`; without `agent` in a process of its own."""
        self.step = step
        self.bench.run_once(agent)

    def run_until(self, step: Step | None = None) -> None:
        """All steps before that one, or every step, in one process."""
        agent = self.bench.open()
        for each in STEPS:
            if each == step:
                return
            self.run(each, agent)

    @property
    def roster(self) -> Roster:
        entries = self._roster()["advertisements"]
        return Roster.of(self.config, [dsse.decode_base64(entry["statement"], "statement") for entry in entries])

    @property
    def group(self) -> Group:
        return self.roster.group_of(ORG)

    def statement(self, **changes: Any) -> bytes:
        """What survivors sign."""
        said: dict[str, Any] = {
            "round_id": self.config.round_id,
            "roster_hash": self.roster.digest.hex(),
            "sharers": self.sharers,
            "survivors": self.survivors,
        }
        return statements.survivors(**(said | changes))

    def confirmation(self, org_id: str, **changes: Any) -> Answer:
        return self.peers[org_id].signed(self.statement(**changes), dsse.SURVIVORS_TYPE)

    def _others(self, names: list[str]) -> list[Peer]:
        return [self.peers[name] for name in names if name != ORG]

    def _offered(self, _: httpx.Request, answer: Any) -> Any:
        return answer | {"round": answer["round"] | {"step": self.step, "awaited": True}}

    def _received(self, request: httpx.Request, answer: Any) -> Any:
        return self._take("submit-gradient", request.content, answer)

    def _answered(self, request: httpx.Request, _: Any) -> Any:
        name = request.url.path.rsplit("/", 1)[1]
        if request.method == "POST":
            return self._take(name, request.content, {"status": "accepted", "step": self.step})
        answers: dict[str, Callable[[], Answer]] = {
            "roster": self._roster,
            "shares": self._shares,
            "survivors": lambda: {"survivors": self.survivors},
            "consistency": self._confirmations,
        }
        return self.lies.get(name, lambda honest: honest)(answers[name]())

    def _take(self, message: str, body: bytes, answer: Any) -> Any:
        self.posted[message].append(body)
        return httpx.Response(503) if message in self.failing else answer

    def advertisements(self) -> list[Answer]:
        """Those of the peers."""
        return [peer.advertisement(self.config) for peer in self._others(sorted(self.peers))]

    def _roster(self) -> Answer:
        own = {"org_id": ORG} | json.loads(self.posted["advertise"][0])
        return {"nonces": {}, "advertisements": [own, *self.advertisements()]}

    def _shares(self) -> Answer:
        sealed = {
            peer.org_id: dsse.encode_base64(client.seal_shares(peer.secrets, peer.org_id, self.group)[ORG])
            for peer in self._others(self.sharers)
        }
        return {"sharers": self.sharers, "shares": sealed}

    def _confirmations(self) -> Answer:
        own = {"org_id": ORG} | json.loads(self.posted["consistency"][0])
        return {"confirmations": [own, *(self.confirmation(peer.org_id) for peer in self._others(self.survivors))]}
