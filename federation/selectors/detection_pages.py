"""Shared detections as operators look at them: filtered, counted, and one with everything that vouches for it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

import ledger.selectors
from federation.detections.facts import Facts, Stated
from federation.detections.severity import severity_of
from federation.detections.techniques import TECHNIQUES, tactics_of, technique_of
from federation.errors import DetectionMissing
from federation.models import DetectionReview, ModelVersion, SharedDetection
from federation.selectors.detections import bundle_of
from flxdr.core import dsse
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import SignatureInvalid
from ledger.models import Block

NEW = DetectionReview.State.NEW
NEWEST_FIRST = ("-received_at", "-pk")
MOST_REVIEWS = 50
PPM = 1_000_000


@dataclass(frozen=True)
class DetectionFilter:
    """Which detections to list; an empty field lets all pass.

    Attributes:
        since, before: bounds of the arrival, the second one excluded.
        least_ppm: the least score.
        state: of the newest review; `new` without any.
    """

    family: str = ""
    org_id: str = ""
    technique: str = ""
    state: str = ""
    since: datetime | None = None
    before: datetime | None = None
    least_ppm: int = 0

    def apply(self, rows: QuerySet[SharedDetection]) -> QuerySet[SharedDetection]:
        exact = {
            "family": self.family,
            "organization__org_id": self.org_id,
            "received_at__gte": self.since,
            "received_at__lt": self.before,
            "score_ppm__gte": self.least_ppm,
        }
        rows = rows.filter(**{name: value for name, value in exact.items() if value})
        if self.technique:  # families have an index, and each has one technique
            rows = rows.filter(family__in=[name for name, known in TECHNIQUES.items() if known == self.technique])
        if self.state == NEW:
            reviewed = DetectionReview.objects.filter(detection=OuterRef("pk"))
            return rows.filter(~Exists(reviewed) | Exists(_newest_is(NEW)))
        return rows.filter(Exists(_newest_is(self.state))) if self.state else rows


@dataclass(frozen=True)
class ListedDetection:
    """A detection in a list, with what its columns come to."""

    row: SharedDetection
    state: str

    @property
    def severity(self) -> str:
        return severity_of(self.row.score_ppm)

    @property
    def score(self) -> float:
        return self.row.score_ppm / PPM

    @property
    def technique_name(self) -> str:
        return technique_of(self.row.family).name if self.row.family in TECHNIQUES else ""

    @property
    def tactics(self) -> Sequence[str]:
        return tactics_of(self.row.family)


@dataclass(frozen=True)
class Counted:
    """How many of the listed detections there are by family and by tactic; a family may serve several tactics."""

    families: Mapping[str, int]
    tactics: Mapping[str, int]


@dataclass(frozen=True)
class Provenance:
    """What stands behind a detection, as far as it is there.

    Attributes:
        version: the version of the model that detected it; None: the coordinator does not know the hash.
        block: the block that the detection names.
        signed: whether the signature over the statement verifies now, by a key that the chain admitted.
        agrees: whether the columns say what the statement says.
        released: whether the named block released the named model.
        problem: why one of these does not hold.
    """

    facts: Facts | None
    version: ModelVersion | None
    block: Block | None
    approvals: int
    signed: bool
    agrees: bool
    released: bool
    problem: str

    @property
    def holds(self) -> bool:
        """Whether what the detection claims is borne out by its signature and by the chain."""
        return self.signed and self.agrees and self.released


def detections_matching(wanted: DetectionFilter, *, limit: int, offset: int) -> tuple[list[ListedDetection], int]:
    """Detections that pass, newest first, and how many there are."""
    rows = wanted.apply(SharedDetection.objects.order_by(*NEWEST_FIRST))
    # Signatures make rows long: which ones are shown is read off an index alone.
    shown = list(rows.values_list("pk", flat=True)[offset : offset + limit])
    newest = DetectionReview.objects.filter(detection=OuterRef("pk")).order_by("-id").values("state")[:1]
    page = (
        SharedDetection.objects.filter(pk__in=shown)
        .select_related("organization")
        .defer("statement", "signature")
        .annotate(reviewed_as=Coalesce(Subquery(newest), Value(str(NEW))))
        .order_by(*NEWEST_FIRST)
    )
    return [ListedDetection(row, row.reviewed_as) for row in page], rows.count()


def detections_counted(wanted: DetectionFilter) -> Counted:
    """How many pass, by family and by tactic, the most frequent first."""
    rows = wanted.apply(SharedDetection.objects.order_by())
    families = dict(rows.values_list("family").annotate(found=Count("pk")).order_by("-found", "family"))
    tactics: dict[str, int] = defaultdict(int)
    for family, count in families.items():
        for tactic in tactics_of(family):
            tactics[tactic] += count
    return Counted(families, dict(Counter(tactics).most_common()))


def detection_by_id(detection_id: int) -> SharedDetection:
    """One detection.

    Raises:
        DetectionMissing: there is none of that number.
    """
    row = SharedDetection.objects.select_related("organization").filter(pk=detection_id).first()
    if row is None:
        raise DetectionMissing(f"no detection {detection_id}")
    return row


def reviews_of(detection: SharedDetection) -> list[DetectionReview]:
    """What operators said of it, newest first."""
    return list(detection.reviews.all()[:MOST_REVIEWS])


def provenance_of(detection: SharedDetection) -> Provenance:
    """What vouches for a detection, verified now."""
    versions = ModelVersion.objects.filter(model_hash=detection.model_hash, model_name=detection.model_name)
    version = versions.select_related("training_round").order_by("-block_height", "-id").first()
    block = None
    if detection.block_height is not None:
        block = Block.objects.filter(height=detection.block_height).first()
    facts, problem = _stated(detection)
    signed = _signed(detection)
    released = block is not None and (block.model_name, block.model_hash) == (
        detection.model_name,
        detection.model_hash,
    )
    return Provenance(
        facts=facts,
        version=version,
        block=block,
        approvals=0 if block is None else len(ledger.selectors.approvals_of([block.block_hash])[block.block_hash]),
        signed=signed,
        agrees=facts is not None and not problem,
        released=released,
        problem=problem,
    )


def detections_stix(wanted: DetectionFilter, *, limit: int, offset: int) -> str:
    """The page of the detections that pass, as a STIX 2.1 bundle."""
    rows = wanted.apply(SharedDetection.objects.order_by(*NEWEST_FIRST))
    shown = list(rows.values_list("pk", flat=True)[offset : offset + limit])
    page = SharedDetection.objects.filter(pk__in=shown).select_related("organization")
    return bundle_of(page.order_by(*NEWEST_FIRST))


def _newest_is(state: str) -> QuerySet[DetectionReview]:
    newest = DetectionReview.objects.filter(detection=OuterRef(OuterRef("pk"))).order_by("-id").values("pk")[:1]
    return DetectionReview.objects.filter(pk=Subquery(newest), state=state)


def _stated(detection: SharedDetection) -> tuple[Facts | None, str]:
    """The facts of the statement, and what the columns say otherwise."""
    try:
        stated = Stated.parse(bytes(detection.statement))
        first, last = stated.facts.seen
    except FlxdrError as error:
        return None, error.detail
    facts = stated.facts
    for name, column, said in (
        ("organisation", detection.organization.org_id, stated.org),
        ("chain", ledger.selectors.chain_id(), stated.chain_id),
        ("alert id", detection.alert_id, stated.alert_id),
        ("family", detection.family, facts.family),
        ("technique", detection.technique, facts.technique),
        ("score", detection.score_ppm, facts.score_ppm),
        ("flows", detection.flows, facts.flows),
        ("first seen", detection.first_seen, first),
        ("last seen", detection.last_seen, last),
        ("model", (detection.model_name, detection.model_hash), (facts.model_name, facts.model_hash)),
        ("block", detection.block_height, facts.block_height),
    ):
        if column != said:
            return facts, f"the signed statement has another {name}: {said}"
    return facts, ""


def _signed(detection: SharedDetection) -> bool:
    """Whether a key that the chain admitted for the organisation signed these bytes; one revoked since still counts."""
    key = ledger.selectors.admitted_key(detection.organization.org_id, detection.key_id)
    if key is None:
        return False
    try:
        dsse.verify(key, bytes(detection.signature), dsse.DETECTION_TYPE, bytes(detection.statement))
    except SignatureInvalid:
        return False
    return True


def technique_choices() -> Sequence[tuple[str, str]]:
    """Techniques to filter by, with their names."""
    return sorted((technique, technique_of(family).name) for family, technique in TECHNIQUES.items())
