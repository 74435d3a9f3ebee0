"""Alerts: what a security team is told of an incident, with who vouches for it. Hosts are pseudonyms."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from federation.agent.detection.incidents import MAX_DISTINCT, Flow, Incident
from federation.agent.evaluation import FoundModel
from federation.agent.state_rows import StoredBlock
from federation.detections.techniques import technique_of
from flxdr.core.clock import Clock, format_timestamp
from flxdr.core.keys import PrivateKey
from models_ml.families import FAMILIES
from models_ml.response.recommend import AlertContext, Recommendation, Recommender
from models_ml.sources.host_embeddings import HostEmbeddings
from models_ml.tgnn.explanation import Driver

OPEN, ENDED = "open", "ended"
SHOWN_DRIVERS = 5
LEAST_EFFECT = 0.05
"""Log-odds below which a flow of the past is not worth a sentence."""
_LAST_SECOND = 253_402_300_799.0  # of the year 9999
_PURPOSE = b"flxdr.agent.alerts"

Alert = dict[str, Any]
Addresses = Callable[[int], str | None]


def pseudonym(host: int) -> str:
    """How a host is written: 64 bits that only this organisation can tell the address of."""
    return f"{host:016x}"


def told(seconds: float) -> str:
    """Seconds since 1970 as `format_timestamp` writes them, in a third of the time: alerts are full of times."""
    return moment(seconds).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as a time; what lies beyond the year 9999 is its last second."""
    return datetime.fromtimestamp(min(seconds, _LAST_SECOND), UTC)


@dataclass(frozen=True)
class Voucher:
    """What stands behind alerts: the model, and the block that released it."""

    found: FoundModel
    calibrated: bool

    def as_json(self) -> dict[str, Any]:
        found = self.found
        return {
            "name": found.name,
            "version": found.version,
            "hash": found.model_hash,
            "block_height": found.height,
            "vouched_by": f"block {found.height} of the verified chain"
            if found.height is not None
            else "no block: this model is no release of the federation",
            "basis": found.basis_hashes,
            "calibrated": self.calibrated,
        }


class Alerts:
    """Makes alerts of incidents.

    Args:
        key: the organisation's signing key; ids are made under a key derived from it, so that an id tells nothing and
            the same incident has the same one whenever it is looked at.
        window: seconds of an incident's window.
        crown_jewels: pseudonyms of hosts on which the organisation depends.
        addresses: tells the address behind a pseudonym; None: alerts hold no addresses.
        explain: whether the past that drove a score is told in words.
        embeddings: of the organisation's hosts; alerts name the hosts that are most alike. None: they name none.
    """

    def __init__(
        self,
        voucher: Voucher,
        recommender: Recommender,
        policy: StoredBlock | None,
        *,
        key: PrivateKey,
        window: float,
        crown_jewels: frozenset[int],
        clock: Clock,
        addresses: Addresses | None = None,
        explain: bool = False,
        embeddings: HostEmbeddings | None = None,
    ) -> None:
        self._model = voucher.as_json()
        self._recommender, self._policy = recommender, policy
        self._key = hmac.digest(key.seed, _PURPOSE, hashlib.sha256)
        self._window = window
        self._crown_jewels = crown_jewels
        self._clock = clock
        self._addresses = addresses
        self._explain = explain
        self._embeddings = embeddings
        self._by_playbook: dict[tuple[float, int, bool], Recommendation] = {}

    def of(self, incident: Incident, status: str) -> Alert:
        """The alert of an incident as it stands now."""
        technique = technique_of(FAMILIES[incident.family])
        alert: Alert = {
            "id": self._id(incident),
            "status": status,
            "raised_at": format_timestamp(self._clock.now()),
            "family": FAMILIES[incident.family],
            "technique": {"id": technique.id, "name": technique.name, "tactics": list(technique.tactics)},
            "score": round(incident.score, 6),
            "host": self._host(incident.host),
            "first_seen": told(incident.first),
            "last_seen": told(incident.last),
            "flows": incident.flows,
            "destinations": len(incident.destinations),
            "services": len(incident.services),
            "counts_are_at_least": max(len(incident.destinations), len(incident.services)) >= MAX_DISTINCT,
            "bytes_out": incident.bytes_out,
            "bytes_in": incident.bytes_in,
            "threat_intel_flows": incident.listed,
            "edges": [self._flow(flow) for flow in incident.shown],
            "recommendation": self._recommendation(incident),
            "model": self._model,
        }
        if self._embeddings is not None:
            alike = self._embeddings.alike(incident.host)
            alert["hosts_alike"] = [{**self._host(host), "cosine": round(cosine, 4)} for host, cosine in alike]
        if self._explain:
            strongest = [each for each in incident.drivers if abs(each.effect) >= LEAST_EFFECT][:SHOWN_DRIVERS]
            alert["drivers"] = [self._driver(each) for each in strongest]
            alert["explanation"] = list(self._sentences(incident, strongest))
        return alert

    def _id(self, incident: Incident) -> str:
        text = f"{self._model['hash']}/{self._window}/{incident.host}/{incident.family}/{incident.window}"
        return hmac.digest(self._key, text.encode(), hashlib.sha256).hex()[:32]

    def _host(self, host: int) -> dict[str, str]:
        address = None if self._addresses is None else self._addresses(host)
        return {"pseudonym": pseudonym(host)} | ({} if address is None else {"address": address})

    def _flow(self, flow: Flow) -> dict[str, Any]:
        return {
            "time": told(flow.t),
            "src": self._host(flow.src),
            "dst": self._host(flow.dst),
            "service": flow.service,
            "state": flow.state,
            "bytes_out": flow.bytes_out,
            "bytes_in": flow.bytes_in,
            "score": round(flow.score, 6),
        }

    def _driver(self, driver: Driver) -> dict[str, Any]:
        fields = asdict(driver)
        seen = {"time": told(fields.pop("t"))}
        hosts = {name: self._host(fields.pop(name)) for name in ("src", "dst")}
        return seen | hosts | fields | {"effect": round(driver.effect, 4)}

    def _recommendation(self, incident: Incident) -> dict[str, Any]:
        advice = self._advice(incident)
        policy = self._policy if advice.source == "policy" else None
        return {
            "action": advice.action,
            "reason": advice.reason,
            "needs_approval": advice.needs_approval,
            "approval": advice.approval,
            "masked": dict(advice.masked),
            "source": advice.source,
            "policy_hash": None if policy is None else policy.model_hash,
            "policy_block_height": None if policy is None else policy.height,
            "own_heads": policy is not None and self._recommender.has_own_heads,
        }

    def _advice(self, incident: Incident) -> Recommendation:
        is_jewel = incident.host in self._crown_jewels
        # Rounded down: a score that is just below a floor must not be told as the floor.
        score = math.floor(100 * min(max(incident.score, 0.0), 1.0)) / 100
        context = AlertContext(
            score=score,
            family=incident.family,
            flows=incident.flows,
            destinations=len(incident.destinations),
            services=len(incident.services),
            bytes_out=incident.bytes_out,
            duration=incident.last - incident.first,
            crown_jewel=is_jewel,
        )
        if self._policy is not None and incident.embedding is not None:
            return self._recommender.recommend(incident.embedding, context)
        # The playbook and the masks look at nothing else of a new incident, and a scan can raise thousands of alerts.
        known = self._by_playbook.get((score, incident.family, is_jewel))
        if known is None:
            known = self._recommender.recommend(None, context)
            self._by_playbook[score, incident.family, is_jewel] = known
        return known

    def _sentences(self, incident: Incident, drivers: Sequence[Driver]) -> Iterator[str]:
        strongest = incident.shown[0]
        yield (
            f"{incident.flows} flow(s) to {len(incident.destinations)} host(s) look like {FAMILIES[incident.family]}; "
            f"the strongest ({strongest.service}, {strongest.state}, {strongest.bytes_out} bytes out, "
            f"{strongest.bytes_in} in, to {self._name(strongest.dst)}) scores {strongest.score:.3f}"
        )
        if incident.listed:
            yield f"{incident.listed} of the flows touch a host that your threat intelligence names"
        for driver in drivers:
            of = "the source's" if driver.role == "source" else "the destination's"
            direction = "raised" if driver.effect > 0 else "lowered"
            yield (
                f"{of} earlier flow {self._name(driver.src)} -> {self._name(driver.dst)} "
                f"({driver.proto}/{driver.port}, {driver.state}, {driver.bytes_out} bytes out, {driver.bytes_in} in) "
                f"{direction} the log-odds of an attack by {abs(driver.effect):.2f}"
            )
        if not drivers:
            yield "no earlier flow of the two hosts moved the score: it rests on what the flows themselves show"

    def _name(self, host: int) -> str:
        shown = self._host(host)
        return shown.get("address", shown["pseudonym"])


def services_of(alert: Mapping[str, Any]) -> list[str]:
    """Protocol and port of an alert's strongest flows, each once."""
    return list(dict.fromkeys(str(edge["service"]) for edge in alert["edges"]))
