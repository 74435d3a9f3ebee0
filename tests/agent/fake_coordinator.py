"""A coordinator behind an HTTP transport: real blocks, signatures, rounds and proofs, and places to lie.

Every answer comes from the pure packages, so an agent that is satisfied has really verified something. `lie[path]`
replaces an answer: a callable that takes (request, honest answer) and returns another one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from federation import statements
from federation.detections.facts import Stated
from flxdr.core import dsse
from flxdr.core.keys import PrivateKey, PublicKey
from flxdr.platform.auth import tokens
from flxdr.platform.errors import TokenInvalid
from ledger.chain import merkle, tree
from ledger.chain.block import submission_leaves
from ledger.chain.checks import check_entry
from ledger.chain.entries import Endorsement, Revoke, Rotate, parse_rotation
from ledger.chain.membership import key_entry
from ledger.chain.statement import check_statement
from tests.agent.fake_federation import FakeFederation, Submitted
from tests.ledger.checkpoints import LOG, checkpoint_document

PREFIX = "/api/fl-blockchain/"
Lie = Callable[[httpx.Request, Any], httpx.Response | Any]


@dataclass
class FakeCoordinator(FakeFederation):
    """The federation's coordinator: what it was asked and told, and the lies that it answers."""

    registered: dict[str, dict[str, Any]] = field(default_factory=dict)
    page_url: Any = "https://c.example/member/sign-in/abc/"
    cosigned: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """What was posted, by size and organisation."""
    votes: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    attested: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    detections: dict[str, bytes] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    lie: dict[str, Lie] = field(default_factory=dict)
    looks: dict[str, Any] = field(default_factory=lambda: {"left_out_reason": None, "anomaly_score": None})
    """What the aggregation noted of everybody's update."""
    log: PrivateKey = LOG
    protocol_version: Any = 1
    open_head: bool = True
    """Whether strangers may ask for the head."""

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._handle)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path.removeprefix(PREFIX)
        try:
            answer: Any = self._answer(request, path)
        except _Problem as problem:
            answer = httpx.Response(problem.status, json={"detail": problem.detail, "code": problem.code})
        lie = self.lie.get(path)
        if lie is not None:
            answer = lie(request, answer)
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, bytes):
            return httpx.Response(200, content=answer)
        return httpx.Response(200, json=answer)

    def _answer(self, request: httpx.Request, path: str) -> Any:
        if path == "info":
            return {"protocol_version": self.protocol_version}
        if path == "federation/register":
            return self._register(json.loads(request.content))
        if path == "blockchain/head" and "Authorization" not in request.headers and self.open_head:
            return self._head()
        return self._answer_member(request, path, self._authenticate(request))

    def _answer_member(self, request: httpx.Request, path: str, org_id: str) -> Any:
        answers: dict[str, Callable[[], Any]] = {
            "blockchain/head": self._head,
            "blockchain/checkpoint": lambda: self.checkpoint(request.url.params),
            "blockchain/checkpoint/cosignatures": lambda: self._cosign(json.loads(request.content), org_id),
            "blockchain/proof/consistency": lambda: self._consistency(request.url.params),
            "blockchain/ledger/export": lambda: self._export(request.url.params),
            "federation/round/current": lambda: self._current(org_id),
            "federation/round/submit-gradient": lambda: self._submit(request, org_id),
            "federation/organizations/sign-in": lambda: {"url": self.page_url, "expires_in": 120},
            "federation/detections": lambda: self._shared(json.loads(request.content), org_id),
            "blockchain/governance/rotate": lambda: self._rotate(json.loads(request.content)),
            "blockchain/governance/revoke": lambda: self._revoke(json.loads(request.content)),
        }
        if path in answers:
            return answers[path]()
        if path.startswith("blockchain/blocks/"):
            return self._attested(int(path.split("/")[2]), json.loads(request.content), org_id)
        if path.endswith("/participants"):
            return {"participants": [{"org_id": org_id, **self.looks}]}
        if path.startswith("federation/round/"):
            return self._own_submission(path.split("/")[2], org_id)
        if path.startswith("federation/model/"):
            return self.models.get(path.rsplit("/", 1)[1]) or self._missing()
        return self._proposals(request, path, org_id)

    def _rotate(self, body: dict[str, Any]) -> dict[str, Any]:
        entry = Rotate(
            key=key_entry(PublicKey.from_text(body["public_key"])),
            statement=parse_rotation(base64.b64decode(body["statement"])),
            proof=body["proof"],
            endorsement=Endorsement(**body["endorsement"]),
        )
        for proposal in self.proposals:
            if proposal["status"] == "open" and entry.key.key_id in str(base64.b64decode(proposal["header"])):
                return proposal
        check_entry(self.state, entry)
        return self.propose_entry(entry)

    def _revoke(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.propose_entry(Revoke(**body))

    def _current(self, org_id: str) -> dict[str, Any]:
        return {"round": self._offer(org_id), "proposals": self._due(org_id), "head": self._head()}

    def _head(self) -> dict[str, Any]:
        state = self.state
        return {"chain_id": state.chain_id, "height": state.height, "block_hash": state.block_hash}

    def _export(self, query: httpx.QueryParams) -> dict[str, Any]:
        start, limit = int(query["from"]), int(query["limit"])
        page = self.records[start : start + limit]
        return {"records": [record.as_json(start + i) for i, record in enumerate(page)]}

    def checkpoint(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The checkpoint of a size, or of the newest size that so many cosigned, with what was posted of it."""
        size = int(query.get("size", len(self.records)))
        if "cosigned" in query:
            enough = [size for size, posted in self.cosigned.items() if len(posted) >= int(query["cosigned"])]
            size = max(enough) if enough else self._missing()
        if not 0 < size <= len(self.records):
            self._missing()
        document = checkpoint_document(self.records, size, coordinator=self.key, log=self.log)
        posted = self.cosigned.get(size, {})
        return document | {
            "note": document["note"] + "".join(f"{body['cosignature']}\n" for body in posted.values()),
            "witnesses": [
                {"org_id": org_id, "witness_key_statement": body["witness_key_statement"]}
                for org_id, body in posted.items()
            ],
        }

    def _attested(self, height: int, envelope: dict[str, Any], org_id: str) -> dict[str, Any]:
        keys = self.state.keys.keys_of(org_id)
        check_statement(dsse.Envelope.from_json(envelope), self.records[height].header, keys, chain_id=self.genesis)
        self.attested.append((height, org_id, envelope))
        return {"height": height, "statements": [{"org_id": org_id, "envelope": envelope}]}

    def _shared(self, body: dict[str, Any], org_id: str) -> dict[str, Any]:
        statement = base64.b64decode(body["statement"])
        stated = Stated.parse(statement)
        key = self.state.keys.key(org_id, body["key_id"])
        if key is None or (stated.org, stated.chain_id) != (org_id, self.genesis):
            raise _Problem(422, "unknown_key", "no key in force, or another's statement")
        dsse.verify(key, base64.b64decode(body["signature"]), dsse.DETECTION_TYPE, statement)
        self.detections[stated.alert_id] = statement
        return {"alert_id": stated.alert_id, "received_at": "2026-03-01T12:00:00Z"} | stated.facts.as_json()

    def _cosign(self, body: dict[str, Any], org_id: str) -> dict[str, Any]:
        self.cosigned.setdefault(body["size"], {}).setdefault(org_id, body)
        return self.checkpoint({"size": body["size"]})

    def _consistency(self, query: httpx.QueryParams) -> dict[str, Any]:
        frontier, nodes = tree.Frontier(), []
        for record in self.records:
            nodes += frontier.append(record.header)
        spans = tree.consistency_spans(int(query["from"]), int(query["to"]))
        return {"proof": [node.hex() for node in tree.hashes_of(spans, dict(enumerate(nodes)))]}

    def _proposals(self, request: httpx.Request, path: str, org_id: str) -> Any:
        if path == "blockchain/proposals":
            return {
                "proposals": [p for p in self.proposals if p["status"] == "open" or "open" not in request.url.params]
            }
        number, *verb = path.removeprefix("blockchain/proposals/").split("/")
        if not 1 <= int(number) <= len(self.proposals):
            self._missing()
        proposal = self.proposals[int(number) - 1]
        if verb:
            body = json.loads(request.content)
            self.votes.append((int(number), verb[0], body))
            if verb[0] == "approve":
                proposal["approvals"].append(org_id)
            else:
                proposal["rejections"].append({"org_id": org_id, **body})
        return proposal

    def _authenticate(self, request: httpx.Request) -> str:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token:
            raise _Problem(401, "unauthenticated", "a token is needed")
        org_id = tokens.read_issuer(token)
        if org_id not in self.peers:
            raise _Problem(401, "unauthenticated", f"{org_id} is unknown")
        known = self.state.keys.keys_of(org_id) or {"": self.peers[org_id].public}
        try:
            claims = tokens.verify(token, list(known.values()), now=self.clock.now())
        except TokenInvalid as error:
            raise _Problem(401, error.code, error.detail) from error
        return claims.subject

    def _register(self, body: dict[str, Any]) -> dict[str, Any]:
        self.registered[body["org_id"]] = body
        return {"org_id": body["org_id"], "registered_at": "2026-03-01T12:00:00Z", "status": "active"}

    def _offer(self, org_id: str) -> dict[str, Any] | None:
        config = self.config
        if config is None:
            return None
        return {
            "round_id": config.round_id,
            "round_number": config.round_number,
            "model_name": config.model_name,
            "status": "in_progress",
            "config": base64.b64encode(config.encode()).decode(),
            "config_hash": config.config_hash,
            "submitted": (config.round_id, org_id) in self.submitted,
            "step": None,
            "awaited": (config.round_id, org_id) not in self.submitted,
        }

    def _due(self, org_id: str) -> list[dict[str, Any]]:
        answered = [{*p["approvals"], *(item["org_id"] for item in p["rejections"])} for p in self.proposals]
        pairs = zip(self.proposals, answered, strict=True)
        return [proposal for proposal, by in pairs if proposal["status"] == "open" and org_id not in by]

    def _submit(self, request: httpx.Request, org_id: str) -> dict[str, Any]:
        assert self.config is not None
        header = request.headers["Submission-Statement"]
        envelope = statements.Envelope.from_compact(header)
        assert envelope.signature is not None
        key = self.state.keys.key(org_id, str(envelope.key_id))
        if key is None:
            raise _Problem(422, "unknown_key", "no proven key")
        dsse.verify(key, envelope.signature, dsse.SUBMISSION_TYPE, envelope.statement)
        body, place = request.read(), (self.config.round_id, org_id)
        known = self.submitted.get(place)
        if known is not None and known.body != body:
            raise _Problem(409, "already_submitted", "other bytes were submitted before")
        self.submitted[place] = Submitted(body, envelope.fields(), header)
        return {
            "status": "accepted",
            "gradient_id": "grad-1",
            "received_at": "2026-03-01T12:00:00Z",
            "submission_digest": hashlib.sha256(body).hexdigest(),
        }

    def _own_submission(self, round_id: str, org_id: str) -> dict[str, Any]:
        entries = sorted(self.entries(round_id), key=lambda entry: entry.org_id)
        names = [entry.org_id for entry in entries]
        if org_id not in names:
            self._missing()
        index = names.index(org_id)
        leaves = submission_leaves(entries)
        return {
            "submission_digest": entries[index].submission_digest,
            "samples": entries[index].samples,
            "leaf_index": index,
            "tree_size": len(leaves),
            "proof": [node.hex() for node in merkle.inclusion_proof(leaves, index)],
            "submissions_root": merkle.root(leaves).hex(),
        }

    def _missing(self) -> Any:
        raise _Problem(404, "not_found", "no such thing")


class _Problem(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
