"""The roster of a masked round: the organisations whose signed advertisements make it, and the groups that they form.

Both sides compute it from the same statements. Its hash names every advertised key at once; it enters every key that
two organisations agree on, so two organisations that were shown different rosters share no key and no mask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

import msgspec

from federation.errors import RosterInvalid, StatementMalformed
from federation.masking import scaling
from federation.masking.draw import commitment
from federation.round_config import RoundConfig
from flxdr.core import canonical
from privacy.secagg.group import FEWEST, Group, Party

_Key = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class Advertisement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an organisation says, and signs, when it joins a masked round; keys and commitment in lower-case hex."""

    v: Literal[1]
    chain_id: str
    round_id: str
    config_hash: str
    org: str
    parent_hash: str | None
    samples: int
    privacy: dict[str, Any]
    mask_key: _Key
    share_key: _Key
    seed_commitment: _Key
    draw_commitment: _Key

    @classmethod
    def parse(cls, statement: bytes) -> Self:
        """Read a statement.

        Raises:
            StatementMalformed: not canonical, or a field is missing, unknown or of another form.
        """
        try:
            return msgspec.convert(canonical.decode(statement), cls)
        except (canonical.NotCanonical, msgspec.ValidationError) as error:
            raise StatementMalformed(
                f"the advertisement cannot be used: {error}", expected=", ".join(cls.__struct_fields__)
            ) from error

    def check(self, config: RoundConfig) -> None:
        """That it is about this round.

        Raises:
            RosterInvalid: it is not.
        """
        for name, said, expected in (
            ("chain", self.chain_id, config.chain_id),
            ("round", self.round_id, config.round_id),
            ("configuration", self.config_hash, config.config_hash),
            ("parent", self.parent_hash, config.parent_hash),
            ("privacy mechanism", self.privacy, dict(config.privacy)),
        ):
            if said != expected:
                raise RosterInvalid(f"{self.org} advertises for another {name}: {said!r}", expected=repr(expected))

    def party(self) -> Party:
        """What it advertises, as the masks need it.

        Raises:
            GroupInvalid: a key that is none.
        """
        keys = (bytes.fromhex(each) for each in (self.mask_key, self.share_key, self.seed_commitment))
        return Party(self.org, *keys)


@dataclass(frozen=True)
class Roster:
    """Advertisements of one round, by organisation; the exact bytes that were signed count.

    Attributes:
        nonces: of a bucketed round, by organisation, the numbers from which the buckets are drawn (`draw`).
    """

    config: RoundConfig
    statements: Mapping[str, bytes]
    nonces: Mapping[str, bytes]

    @classmethod
    def of(
        cls, config: RoundConfig, statements: Iterable[bytes], nonces: Mapping[str, bytes] = MappingProxyType({})
    ) -> Roster:
        """The roster that these statements make, whose signatures the caller has checked.

        Of a bucketed round, those who opened their number are on it.

        Raises:
            StatementMalformed, RosterInvalid: an advertisement for another round, of a stranger, or a second one; a
                number that nobody committed to.
        """
        by_org: dict[str, bytes] = {}
        for statement in statements:
            advertisement = Advertisement.parse(statement)
            advertisement.check(config)
            if advertisement.org in by_org or advertisement.org not in config.participants:
                raise RosterInvalid(f"{advertisement.org} is no participant, or advertises twice")
            by_org[advertisement.org] = statement
        for org_id, nonce in nonces.items():
            committed = Advertisement.parse(by_org[org_id]).draw_commitment if org_id in by_org else None
            if committed != commitment(nonce):
                raise RosterInvalid(f"the number of {org_id} is not the one it committed to")
        present = {name: by_org[name] for name in sorted(by_org) if not config.masking_buckets or name in nonces}
        return cls(config, present, dict(sorted(nonces.items())))

    @cached_property
    def advertisements(self) -> Mapping[str, Advertisement]:
        return {org_id: Advertisement.parse(statement) for org_id, statement in self.statements.items()}

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that name the round's configuration, every statement and every number."""
        return hashlib.sha256(
            canonical.encode(
                {
                    "config_hash": self.config.config_hash,
                    "advertisements": [canonical.digest(statement) for statement in self.statements.values()],
                    "nonces": {org_id: nonce.hex() for org_id, nonce in self.nonces.items()},
                }
            )
        ).digest()

    @cached_property
    def groups(self) -> Sequence[Group]:
        """Who masks for each other: everybody; in a bucketed round buckets of three to five.

        Raises:
            RosterInvalid: too few organisations.
        """
        names = self.drawn
        count = len(names) // FEWEST if self.config.masking_buckets else 1
        if len(names) < FEWEST or count < max(1, self.config.masking_buckets):
            needed = FEWEST * max(1, self.config.masking_buckets)
            raise RosterInvalid(f"{len(names)} organizations advertised", expected=f"at least {needed}")
        return [self._group(sorted(names[index::count])) for index in range(count)]

    @cached_property
    def drawn(self) -> Sequence[str]:
        """The organisations in an order that nobody chose: by the hash of the roster and each name."""
        return sorted(self.statements, key=lambda name: hashlib.sha256(self.digest + name.encode()).digest())

    def group_of(self, org_id: str) -> Group:
        """The group of one of its organisations."""
        return next(group for group in self.groups if any(party.org_id == org_id for party in group.parties))

    @cached_property
    def weights(self) -> Mapping[str, int]:
        """Everybody's public weight; see `scaling`."""
        samples = {org_id: each.samples for org_id, each in self.advertisements.items()}
        return scaling.public_weights(samples, self.config.weighting)

    def _group(self, names: Sequence[str]) -> Group:
        return Group(self.digest, tuple(self.advertisements[name].party() for name in names))
