"""The coordinator's API as the demo's operator uses it: over HTTP, from the coordinator's own machine."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any

import httpx

from flxdr.demo.errors import DemoFailed
from ledger.chain.block import Header, parse_header
from ledger.chain.entries import Admit

Document = dict[str, Any]
OPEN = ("in_progress", "aggregating", "verifying")
PAGE = 100
RESTART_SECONDS = 60


@dataclass(frozen=True)
class SealedBlock:
    """A block and the organisations that signed it (the coordinator's own name among them)."""

    header: Header
    approved_by: frozenset[str]


class Operator:
    """A client without a token: in development the coordinator lets its own machine operate."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/api/fl-blockchain/", timeout=30)

    def close(self) -> None:
        self._http.close()

    def is_up(self) -> bool:
        try:
            return self._http.get("health").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def head(self) -> Document:
        return self._get("blockchain/head")

    def start_round(self, **choices: Any) -> Document:
        return self._post("federation/round/start", choices)

    def round_status(self, round_id: str) -> Document:
        return self._get(f"federation/round/{round_id}/status")

    def why_failed(self, round_id: str) -> str:
        rounds = self._get("federation/rounds", limit=100)["rounds"]
        return next((f"{r['failure_code']}: {r['failure_reason']}" for r in rounds if r["round_id"] == round_id), "")

    def start_campaign(self, **choices: Any) -> Document:
        return self._post("federation/campaign/start", choices)

    def campaign(self, campaign_id: int) -> Document:
        return self._get(f"federation/campaign/{campaign_id}")

    def released_model(self, name: str) -> Document:
        """The newest sealed release of a model."""
        models = self._get("federation/models", model=name, limit=100)["models"]
        released = [model for model in models if model["status"] == "released"]
        if not released:
            raise DemoFailed(f"{name} has no release")
        return max(released, key=lambda model: int(model["version"]))

    def model_file(self, model_hash: str) -> bytes:
        return self._read(f"federation/model/{model_hash}", {}).content

    def blocks(self) -> list[SealedBlock]:
        """The whole chain from genesis on, read from the headers' own bytes."""
        blocks: list[SealedBlock] = []
        while blocks == [] or len(blocks) <= self.head()["height"]:
            page = self._get("blockchain/ledger/export", **{"from": len(blocks), "limit": PAGE})["records"]
            blocks += [
                SealedBlock(
                    header=parse_header(base64.b64decode(record["header"])),
                    approved_by=frozenset(approval["org_id"] for approval in record["approvals"]),
                )
                for record in page
            ]
        return blocks

    def members(self) -> int:
        """Organisations with a key on the chain."""
        actions = (action for block in self.blocks() for action in block.header.governance.actions)
        return len({action.org_id for action in actions if isinstance(action, Admit)})

    def budget(self) -> Document:
        return self._get("privacy/budget")

    def _get(self, path: str, **query: Any) -> Document:
        return dict(self._read(path, query).json())

    def _read(self, path: str, query: Document) -> httpx.Response:
        """Ask until there is an answer: a web process that was killed is back within seconds."""
        deadline = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                response = self._http.get(path, params=query)
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise DemoFailed(f"GET {path}: {error}") from error
                time.sleep(0.25)
            else:
                self._require_success(response)
                return response

    def _post(self, path: str, body: Document) -> Document:
        response = self._http.post(path, json=body)
        self._require_success(response)
        return dict(response.json())

    def _require_success(self, response: httpx.Response) -> None:
        if not response.is_success:
            raise DemoFailed(
                f"{response.request.method} {response.request.url}: {response.status_code} {response.text}"
            )
