from __future__ import annotations

import numpy as np
import pytest

from models_ml.edge_stream import EdgeStream
from models_ml.features import FEATURES, LOG_LIMIT, extract
from tests.models_ml.streams import stream, two_families


def test_shape_range_and_type() -> None:
    features = extract(two_families(seed=1, count=200))
    assert features.shape == (200, len(FEATURES))
    assert features.dtype == np.float32
    assert features.min() >= 0
    assert features.max() <= np.float32(LOG_LIMIT)


def test_extreme_records_stay_in_range() -> None:
    flows = stream(
        t=[0.0, 2.0**40],
        bytes_out=[0, 2**53],
        bytes_in=[0, 2**53],
        packets=[0, 2**53],
        duration=[np.nan, 2.0**40],
        port=[0, 65535],
    )
    features = extract(flows)
    assert np.isfinite(features).all()
    assert features.max() <= np.float32(LOG_LIMIT)


def test_addresses_do_not_enter() -> None:
    flows = two_families(seed=2, count=300)
    renamed = EdgeStream.from_columns(
        {name: getattr(flows, name) for name in flows.__dataclass_fields__ if name != "captures"}
        | {"src": flows.src * np.uint64(977) + np.uint64(13), "dst": flows.dst * np.uint64(31) + np.uint64(5)}
    )
    assert (extract(flows) == extract(renamed)).all()


@pytest.mark.parametrize(("ports", "same"), [((40000, 50000), True), ((80, 443), True), ((443, 22), False)])
def test_ports_count_as_a_coarse_service_only(ports: tuple[int, int], same: bool) -> None:
    one, other = (extract(stream(port=[port])) for port in ports)
    assert bool((one == other).all()) is same


def test_every_category_has_its_column() -> None:
    flows = stream(state=np.arange(13), proto=np.arange(13) % 4)
    features = dict(zip(FEATURES, extract(flows).T, strict=True))
    assert [int(features["state_S0"][0]), int(features["state_OTH"][12])] == [1, 1]
    assert sum(features[name].sum() for name in FEATURES if name.startswith("state_")) == 13
    assert features["proto_udp"].tolist() == [int(i % 4 == 1) for i in range(13)]


def test_no_records_have_no_features() -> None:
    assert extract(EdgeStream.empty()).shape == (0, len(FEATURES))
