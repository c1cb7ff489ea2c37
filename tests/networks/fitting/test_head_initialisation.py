from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from geoseg.domain.points import make_points
from geoseg.domain.ports import NullProgress
from geoseg.learning.features.reading import FitData, Reader
from geoseg.learning.heads.logistic import Probe
from geoseg.learning.normalisation import Normalisation
from geoseg.networks.features.extractors import read_logits
from geoseg.networks.fitting.head_initialisation import (
    Features,
    can_init_head,
    init_head,
    probe_features,
    write_probe,
)
from geoseg.networks.fitting.loop import FitPlan
from geoseg.networks.models.deeplab import Architecture, build_network


@pytest.fixture
def head():
    torch.manual_seed(0)
    return build_network(Architecture("mobilenet_v3_large", 3, 5, 128)).classifier.eval()


@pytest.fixture
def probe():
    return Probe((torch.randn(5, 1920) / 30).numpy(), torch.randn(5).numpy())


def _with_local_means(head, features):
    return torch.cat([features, head[0].convs[4][0](features)], dim=1).movedim(1, -1)


def test_a_head_gives_the_scores_of_the_probe_written_into_it(head, probe):
    features = torch.randn(2, 960, 7, 9)
    expected = torch.from_numpy(probe.scores(_with_local_means(head, features).numpy()))

    write_probe(head, probe, torch.randn(50, 1920) + 1)

    with torch.inference_mode():
        torch.testing.assert_close(head(features).movedim(1, -1), expected, atol=1e-4, rtol=1e-4)


def test_a_written_head_gives_nearly_the_scores_while_it_trains(head, probe):
    features = torch.randn(4, 960, 16, 16)
    cells = _with_local_means(head, features).flatten(0, 2)
    expected = torch.from_numpy(probe.scores(cells.numpy())).flatten()

    write_probe(head, probe, cells[::7])

    with torch.no_grad():
        given = head.train()(features).movedim(1, -1).flatten()
    assert np.corrcoef(given, expected)[0, 1] > 0.9


def test_every_lane_of_a_written_head_can_learn(head, probe):
    write_probe(head, probe, torch.randn(50, 1920))
    head.train()(torch.randn(2, 960, 8, 8)).square().mean().backward()
    assert (head[-1].weight.grad.abs().sum(dim=(0, 2, 3)) > 0).float().mean() > 0.95


@pytest.mark.parametrize("present", [[0, 1, 2], [0, 2], [1, 2]])
def test_a_probe_tells_the_classes_apart_and_leaves_out_those_without_points(present):
    rng = np.random.default_rng(0)
    labels = rng.choice(present, 300)
    found = np.eye(3)[labels] @ rng.normal(0, 3, (3, 20)) + rng.normal(0, 1, (300, 20))
    found[:, 0] = 7.0  # a channel that says nothing
    features = Features(
        torch.from_numpy(found).float(), torch.from_numpy(labels), torch.ones(300), torch.zeros(0)
    )

    probe = probe_features(features, 3)

    scores = torch.from_numpy(probe.scores(features.at_points.numpy()))
    assert (scores.argmax(1) == features.labels).float().mean() > 0.95
    assert np.isfinite(probe.weight).all()
    assert set(scores.argmax(1).tolist()) == set(present)


def test_points_count_by_their_weights_and_their_class(head):
    found = torch.zeros(100, 4)
    labels = torch.arange(100) % 2
    features = Features(found, labels, torch.where(labels == 1, 3.0, 1.0), torch.zeros(0))
    assert np.diff(probe_features(features, 2).bias) == pytest.approx(np.log(3), abs=1e-2)
    assert np.diff(probe_features(features, 2, (3.0, 1.0)).bias) == pytest.approx(0, abs=1e-2)


@pytest.fixture
def data(source):
    rng = np.random.default_rng(0)
    truth = np.zeros((128, 128), int)
    truth[:, 64:] = 1
    pixels = (truth * 100 + rng.normal(80, 10, (3, 128, 128))).astype(np.float32)
    row, col = rng.integers(0, 128, 60), rng.integers(0, 128, 60)
    points = make_points("a", row, col, truth[row, col])
    return FitData({"a": source(pixels)}, points, Normalisation((130.0,) * 3, (50.0,) * 3), 2)


def test_a_started_network_knows_its_points_before_the_first_step(data):
    torch.manual_seed(0)
    network = build_network(Architecture("mobilenet_v3_large", 3, 2, 64))
    plan = FitPlan(patch_px=64, batch=2)

    assert can_init_head(network, data)
    init_head(network, data, plan, missing=set(network.state_dict()), progress=NullProgress())

    read = read_logits(network, data.points, data, reader=Reader(64, batch=2))
    logits, labels = torch.from_numpy(read.values), torch.from_numpy(read.label)
    assert (logits.argmax(1) == labels).float().mean() > 0.9


def test_norms_with_weights_keep_their_statistics(data):
    torch.manual_seed(0)
    network = build_network(Architecture("mobilenet_v3_large", 3, 2, 64))
    norms = {n: m for n, m in network.backbone.named_modules() if isinstance(m, nn.BatchNorm2d)}
    lost = list(norms)[-1]
    before = {n: m.running_mean.clone() for n, m in norms.items()}

    init_head(
        network,
        data,
        FitPlan(patch_px=64),
        missing={f"backbone.{lost}.running_mean"},
        progress=NullProgress(),
    )

    changed = {n for n, m in norms.items() if not torch.equal(m.running_mean, before[n])}
    assert changed == {lost}
    assert {m.momentum for m in norms.values()} == {0.01}


def test_one_class_alone_or_more_than_the_head_has_room_for_have_no_probe(data):
    network = build_network(Architecture("mobilenet_v3_large", 3, 2, 64))
    first = np.flatnonzero(data.points.class_id == 0)
    assert not can_init_head(network, replace(data, points=data.points.take(first)))
    assert can_init_head(network, replace(data, classes=128))
    assert not can_init_head(network, replace(data, classes=129))


def test_of_many_points_an_even_choice_starts_the_head(data, monkeypatch):
    """Features of four million labels, as full supervision has them, would not fit into memory."""
    plan = FitPlan(epochs=1, patches=4, batch=2, patch_px=64)
    torch.manual_seed(0)
    monkeypatch.setattr("geoseg.networks.fitting.head_initialisation.MAX_POINTS", 20)
    read = []
    monkeypatch.setattr(
        "geoseg.networks.fitting.head_initialisation.probe_features",
        lambda features, *rest: read.append(len(features.labels)) or probe_features(features, *rest),
    )
    network = build_network(Architecture("mobilenet_v3_large", 3, 2, 64))

    init_head(network, data, plan, missing=set(), progress=NullProgress())

    assert read == [20]
