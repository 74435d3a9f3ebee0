"""Routes of the ledger under `/api/fl-blockchain/`; the guide's have names that start with `contract-`."""

from __future__ import annotations

from django.urls import path
from rest_framework.renderers import JSONRenderer

from ledger.api.blocks import BlockViewSet
from ledger.api.governance import GovernanceViewSet
from ledger.api.proofs import CheckpointViewSet, ProofViewSet, TlogProofViewSet
from ledger.api.proposals import ProposalViewSet
from ledger.api.statements import StatementViewSet

urlpatterns = [
    path("blockchain/ledger/blocks", BlockViewSet.as_view({"get": "page"}), name="contract-ledger-blocks"),
    path(
        "blockchain/ledger/block/<int:height>",
        BlockViewSet.as_view({"get": "retrieve"}),
        name="contract-ledger-block",
    ),
    path("blockchain/ledger/verify", BlockViewSet.as_view({"get": "verify"}), name="contract-ledger-verify"),
    path(
        "blockchain/provenance/<str:model_hash>",
        BlockViewSet.as_view({"get": "provenance"}),
        name="contract-ledger-provenance",
    ),
    path("blockchain/ledger/export", BlockViewSet.as_view({"get": "export"}), name="ledger-export"),
    path("blockchain/head", BlockViewSet.as_view({"get": "head"}), name="ledger-head"),
    path("blockchain/checkpoint", CheckpointViewSet.as_view({"get": "retrieve"}), name="ledger-checkpoint"),
    path(
        "blockchain/checkpoint/cosignatures",
        CheckpointViewSet.as_view({"post": "cosign"}, renderer_classes=[JSONRenderer]),
        name="ledger-checkpoint-cosignatures",
    ),
    path("blockchain/proof/inclusion", ProofViewSet.as_view({"get": "inclusion"}), name="ledger-inclusion"),
    path("blockchain/proof/consistency", ProofViewSet.as_view({"get": "consistency"}), name="ledger-consistency"),
    path(
        "blockchain/blocks/<int:height>/envelope",
        BlockViewSet.as_view({"get": "envelope"}),
        name="ledger-block-envelope",
    ),
    path(
        "blockchain/blocks/<int:height>/tlog-proof",
        TlogProofViewSet.as_view({"get": "retrieve"}),
        name="ledger-tlog-proof",
    ),
    path("blockchain/governance", GovernanceViewSet.as_view({"get": "page"}), name="ledger-governance"),
    *(
        path(f"blockchain/governance/{entry}", GovernanceViewSet.as_view({"post": entry}), name=f"ledger-{entry}")
        for entry in ("rotate", "revoke", "withdraw", "policy")
    ),
    path(
        "blockchain/blocks/<int:height>/statements",
        StatementViewSet.as_view({"get": "page", "post": "create"}),
        name="ledger-release-statements",
    ),
    path("blockchain/proposals", ProposalViewSet.as_view({"get": "page"}), name="ledger-proposals"),
    path(
        "blockchain/proposals/<int:proposal_id>",
        ProposalViewSet.as_view({"get": "retrieve"}),
        name="ledger-proposal",
    ),
    path(
        "blockchain/proposals/<int:proposal_id>/approve",
        ProposalViewSet.as_view({"post": "approve"}),
        name="ledger-proposal-approve",
    ),
    path(
        "blockchain/proposals/<int:proposal_id>/reject",
        ProposalViewSet.as_view({"post": "reject"}),
        name="ledger-proposal-reject",
    ),
]
