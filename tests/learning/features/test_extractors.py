from dataclasses import replace

import numpy as np

from geoseg.inference.graphs.layers import LayerPlan, feature_graph
from geoseg.learning.features.extractors import GraphExtractor
from geoseg.learning.features.patches import BatchPoints


def test_the_enlarged_image_is_read_with_half_the_margin():
    plan, margin = LayerPlan(3, 3, (1, 2), has_texture=False), 64
    images = np.random.default_rng(0).normal(0, 1, (1, 3, 160, 160)).astype(np.float32)
    at = BatchPoints(*(np.array([v]) for v in (0, 70.5, 90.0, 0)), np.ones(1, np.float32))
    moved = replace(at, row=at.row - 32, col=at.col - 32)

    found = GraphExtractor(feature_graph(plan, margin), plan.insets_px(margin))(images, at)

    whole = GraphExtractor(feature_graph(replace(plan, scales=(1,))))(images, at)
    inner = GraphExtractor(feature_graph(replace(plan, scales=(2,))))(images[..., 32:-32, 32:-32], moved)
    np.testing.assert_allclose(found, np.concatenate([whole, inner], axis=1), rtol=1e-4, atol=1e-4)
