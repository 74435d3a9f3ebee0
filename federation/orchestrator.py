"""The guide's entry point for programs on the coordinator: one object over the services."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from federation import selectors
from federation.services import campaigns, enrolment, rounds
from flxdr.core.clock import Clock, SystemClock
from flxdr.core.errors import Malformed

PROGRAM = "program"
_ORGANIZATION_DATA = frozenset({"org_name", "data_sources", "crypto_pubkey", "key_proof", "enrolment_token"})


class FederationOrchestrator:
    """Registration, rounds and campaigns as a local program calls them; every rule is the services'."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def register_organization(self, org_id: str, org_data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Register an organisation with the fields of the registration request.

        Args:
            org_data: any of org_name (default: the org_id), data_sources, crypto_pubkey, key_proof (bytes) and
                enrolment_token.

        Raises:
            Malformed: another field; and everything that `enrolment.register` raises.
        """
        data = dict(org_data or {})
        unknown = sorted(data.keys() - _ORGANIZATION_DATA)
        if unknown:
            raise Malformed(f"no field {unknown[0]!r}", expected=", ".join(sorted(_ORGANIZATION_DATA)))
        organization = enrolment.register(
            org_id=org_id,
            name=data.get("org_name", org_id),
            data_sources=data.get("data_sources"),
            public_key_text=data.get("crypto_pubkey"),
            key_proof=data.get("key_proof"),
            enrolment_token=data.get("enrolment_token"),
            clock=self._clock,
        )
        return {"org_id": organization.org_id, "status": organization.status, "key_status": organization.key_status}

    def start_training_round(self, **parameters: Any) -> str:
        """Start the next round and return its id; `parameters` are those of `rounds.start_round`."""
        return rounds.start_round(actor=PROGRAM, clock=self._clock, **parameters).round_id

    def start_campaign(self, **parameters: Any) -> int:
        """Start a campaign and return its number; `parameters` are those of `campaigns.start_campaign`."""
        return campaigns.start_campaign(actor=PROGRAM, clock=self._clock, **parameters).pk

    def round_status(self, round_id: str) -> dict[str, Any]:
        """Where a round stands.

        Raises:
            RoundMissing: there is none of that id.
        """
        return selectors.round_status(selectors.round_by_id(round_id))

    def federation_status(self, model: str | None = None) -> dict[str, Any]:
        """The federation at a glance, for one model."""
        return selectors.federation_status(model)


@cache
def get_federation_orchestrator() -> FederationOrchestrator:
    """The process's orchestrator."""
    return FederationOrchestrator()
