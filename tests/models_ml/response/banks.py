from __future__ import annotations

import numpy as np

from models_ml.families import FAMILIES
from models_ml.response.alerts import EMBEDDING
from models_ml.response.incidents import Incidents


def bank(seed: int = 0, count: int = 400) -> Incidents:
    """Incidents of every family, half of them benign; the scores are good, the embeddings tell families apart."""
    rng = np.random.default_rng(seed)
    truth = np.where(np.arange(count) < count // 2, 0, 1 + np.arange(count) % (len(FAMILIES) - 1))
    centres = 2 * np.random.default_rng(99).standard_normal((len(FAMILIES), EMBEDDING))
    attack = truth > 0
    return Incidents(
        embedding=(centres[truth] + rng.standard_normal((count, EMBEDDING))).astype(np.float32),
        score=np.where(attack, 0.98, 0.02),
        family=np.where(attack, truth, 3),
        flows=rng.integers(1, 200, count),
        destinations=rng.integers(1, 20, count),
        services=rng.integers(1, 5, count),
        bytes_out=rng.integers(0, 10**6, count),
        duration=rng.uniform(0, 3600, count),
        truth=truth.astype(np.int64),
    )
