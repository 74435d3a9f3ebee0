"""Routes of the ledger's pages."""

from __future__ import annotations

from django.urls import path

from flxdr.dashboard.ledger import decisions, downloads, views

app_name = "ledger"
urlpatterns = [
    path("", views.index, name="index"),
    path("blocks/<int:height>/", views.block, name="block"),
    path("blocks/<int:height>/chain", downloads.chain_up_to, name="proof"),
    path("blocks/<int:height>/tlog-proof", downloads.tlog_proof, name="tlog-proof"),
    path("blocks/<int:height>/withdraw", decisions.withdraw, name="withdraw"),
    path("lineage/<str:model_hash>/", views.lineage, name="lineage"),
    path("proposals/", decisions.proposals, name="proposals"),
    path("governance/", decisions.governance, name="governance"),
    path("checkpoint/", views.checkpoint, name="checkpoint"),
    path("checkpoint/note", downloads.checkpoint_note, name="checkpoint-note"),
    path("checkpoint/document", downloads.checkpoint_document, name="checkpoint-document"),
]
