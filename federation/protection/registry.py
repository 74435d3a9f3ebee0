"""Which protections exist. A new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from federation.errors import RoundParametersInvalid
from federation.protection.interface import Protection
from federation.protection.paillier import PAILLIER
from federation.protection.plain import Plain
from federation.protection.secagg import SECAGG

PROTECTIONS: Mapping[str, Protection] = MappingProxyType(
    {protection.name: protection for protection in (Plain(), SECAGG, PAILLIER)}
)


def get(name: str) -> Protection:
    """The protection of that name.

    Raises:
        RoundParametersInvalid: there is none.
    """
    try:
        return PROTECTIONS[name]
    except KeyError:
        raise RoundParametersInvalid(
            f"protection {name!r}", expected=" | ".join(PROTECTIONS), field="protection"
        ) from None
