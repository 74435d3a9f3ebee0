"""Where a released model comes from: its ancestors, and what was released beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

import ledger.selectors
from flxdr.dashboard.charts.lineage import Node, lineage_chart
from flxdr.dashboard.paging import Pages, Window
from ledger.models import Block
from ledger.selectors.explorer import branches_beside, release_of, releases_at


@dataclass(frozen=True)
class Release:
    """A release in the list: whether it is an ancestor or branched off, and whether it was withdrawn.

    `parent` is the release that it was trained from, where that is in the list as well.
    """

    block: Block
    is_ancestor: bool
    is_withdrawn: bool
    parent: Block | None


@dataclass(frozen=True)
class LineageReading:
    """A page of a model's lineage, drawn and as a list."""

    newest: Block
    model_hash: str
    pages: Pages
    releases: Sequence[Release]
    chart: SafeString | None


def read_lineage(model_hash: str, window: Window) -> LineageReading:
    """Read a page of it; as many branches at most as ancestors.

    Raises:
        ledger.errors.ModelUnknown: no sealed release has that hash.
    """
    # With the release above the page, if there is one: what lies between the two branched off below it.
    above = 1 if window.offset else 0
    walked, total = ledger.selectors.lineage(model_hash, window.limit + above, window.offset - above)
    page = walked[above:]
    ancestors = {block.height for block in page}
    beside = branches_beside(page, below=walked[0].height, limit=window.limit) if walked else []
    blocks = releases_at([*ancestors, *(block.height for block in beside)])
    releases = [
        Release(block, block.height in ancestors, bool(vars(block)["is_withdrawn"]), _parent(block, blocks))
        for block in blocks
    ]
    return LineageReading(
        newest=release_of(model_hash),
        model_hash=model_hash,
        pages=Pages(page, total, window),
        releases=releases,
        chart=_draw(releases) if releases else None,
    )


def _parent(block: Block, blocks: Sequence[Block]) -> Block | None:
    """The newest block below that released the parent: the same hash may have been released twice."""
    below = (each for each in blocks if each.height < block.height)
    return next((each for each in below if each.model_hash == block.parent_model_hash), None)


def _draw(releases: Sequence[Release]) -> SafeString:
    places = {release.block.height: place for place, release in enumerate(releases)}
    newest = releases[0].block
    title = _("Lineage of %(model)s v%(version)s, newest release on top") % {
        "model": newest.model_name,
        "version": newest.model_version,
    }
    return lineage_chart([_node(release, places) for release in releases], title=title)


def _node(release: Release, places: Mapping[int, int]) -> Node:
    block = release.block
    return Node(
        label=f"{block.model_name} v{block.model_version}",
        note=_("block %(height)s · %(round)s") % {"height": block.height, "round": block.round_id},
        link=reverse("ledger:block", args=[block.height]),
        parent=places[release.parent.height] if release.parent is not None else None,
        has_parent=block.parent_model_hash is not None,
        column=0 if release.is_ancestor else 1,
        withdrawn=_("withdrawn") if release.is_withdrawn else "",
    )
