"""The detector: pieces of flows go in, incidents that began, grew or ended come out."""

from __future__ import annotations

from dataclasses import dataclass

from federation.agent.detection.incidents import Incident, Incidents
from federation.agent.detection.scorers import FlowScorer
from models_ml.calibration import Calibration
from models_ml.edge_stream import EdgeStream


@dataclass
class Counts:
    """What has passed through so far."""

    flows: int = 0
    newest: float = 0.0


class Detector:
    """Scores pieces with one model and groups what is alarming.

    Args:
        calibration: from probabilities to a family and a score.
        window: seconds that one incident covers at most.
        minimum: score below which a flow raises no alarm.
        explain: whether the past that drove the highest score of each incident is looked at.
    """

    def __init__(
        self,
        scorer: FlowScorer,
        calibration: Calibration,
        *,
        window: float,
        minimum: float = 0.0,
        explain: bool = False,
    ) -> None:
        self._scorer, self._calibration = scorer, calibration
        self._minimum = minimum
        self.incidents = Incidents(window, scorer.explain if explain else None)
        self.counts = Counts()

    def take(self, piece: EdgeStream) -> list[Incident]:
        """Score the next piece; the incidents that it began or added to."""
        if not len(piece):
            return []
        judged = self._scorer.score(piece)
        family, score = self._calibration.decide(judged.probabilities)
        self.counts.flows += len(piece)
        self.counts.newest = max(self.counts.newest, float(piece.t.max()))
        return self.incidents.add(piece, family, score, judged.embedding, minimum=self._minimum)
