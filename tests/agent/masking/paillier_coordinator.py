"""A coordinator of Paillier rounds for one real agent, which can be put anywhere in the draw of those who hold keys."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import httpx

from federation import statements
from federation.masking import ciphertexts
from federation.masking.steps import Step
from flxdr.core import dsse
from privacy.paillier import roundkey
from privacy.paillier.keys import PrivateKey
from privacy.secagg.derivation import agree
from tests.agent.conftest import ORG, Bench
from tests.agent.masking.masking_coordinator import Answer, MaskingCoordinator
from tests.support.paillier import MODULUS_BITS, own_key


@dataclass
class PaillierCoordinator(MaskingCoordinator):
    """A Paillier round.

    Attributes:
        files: what is served as `sums` and `openings`.
    """

    files: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def place(cls, bench: Bench, position: int, **changes: Any) -> PaillierCoordinator:
        """A round in which the agent has advertised and comes to that position of the draw."""
        fields: dict[str, Any] = {"protection": "paillier", "frac_bits": 16, "modulus_bits": MODULUS_BITS}
        placed = cls.start(bench, **(fields | changes))
        assert isinstance(placed, cls)
        placed.run(Step.ADVERTISE)
        seeds = (hashlib.sha256(b"%d" % attempt).digest() for attempt in count())
        while placed.roster.drawn[position] != ORG:
            placed.peers["org-b"] = replace(placed.peers["org-b"], seed=next(seeds))
        return placed

    @property
    def makers(self) -> list[str]:
        return list(ciphertexts.makers(self.roster))

    def round_key(self, maker: str, *, private: PrivateKey | None = None, **changes: Any) -> Answer:
        """What a peer signs of its key; with `private` it wraps that one."""
        key = own_key(maker)
        said: dict[str, Any] = {
            "round_id": self.config.round_id,
            "roster_hash": self.roster.digest.hex(),
            "org": maker,
            "public": key.public.to_bytes(),
            "wrapped": {
                holder: roundkey.wrap(
                    (private or key).to_bytes(), self._shared(maker, holder), self.roster.digest, maker, holder
                )
                for holder in ciphertexts.holders(self.roster)
                if holder != maker
            },
        }
        return self.peers[maker].signed(statements.round_key(**(said | changes)), dsse.ROUND_KEY_TYPE)

    def _install(self) -> None:
        super()._install()
        for name in ("sums", "openings"):
            self.bench.coordinator.lie[f"federation/round/{self.config.round_id}/{name}"] = self._file

    def _file(self, request: httpx.Request, answer: Any) -> Any:
        name = request.url.path.rsplit("/", 1)[1]
        if request.method == "POST":
            return self._take(name, request.content, {"status": "accepted", "step": self.step})
        return httpx.Response(200, content=self.files[name])

    def _shares(self) -> Answer:
        maker = self.makers[0]
        return super()._shares() | {"round_key": self.own_entry() if maker == ORG else self.round_key(maker)}

    def own_entry(self) -> Answer:
        """The round key that the agent posted."""
        return {"org_id": ORG, **self.posted_shares()[-1]["round_key"]}

    def posted_shares(self) -> list[Answer]:
        return [json.loads(body) for body in self.posted["shares"]]

    def _shared(self, maker: str, holder: str) -> bytes:
        return agree(self.peers[maker].secrets.share_private, self.roster.advertisements[holder].party().share_key)
