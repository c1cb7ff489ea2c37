import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from geoseg.domain.points import CHECK, make_points
from geoseg.domain.ports import Silence
from geoseg.errors import ModelFileError, TrainingError
from geoseg.learning.checkpoints import pack_checkpoint, unpack_checkpoint
from geoseg.learning.fitting import FitData, FitPlan, Start, fit, read_logits
from geoseg.learning.normalisation import Normalisation

PLAN = FitPlan(epochs=4, patches=3, batch=2, patch_px=64, head_rate=3e-3, average=0.9)


@pytest.fixture
def data(source):
    """Two halves of different brightness, with some points in each; every fourth is held out."""
    rng = np.random.default_rng(0)
    truth = np.zeros((80, 96), int)
    truth[:, 48:] = 1
    pixels = (truth * 100 + rng.normal(80, 10, (3, 80, 96))).astype(np.float32)
    row, col = rng.integers(0, 80, 24), rng.integers(0, 96, 24)
    points = make_points("a", row, col, truth[row, col])
    role = np.where(np.arange(24) % 4 == 0, CHECK, "train")
    normal = Normalisation((130.0,) * 3, (50.0,) * 3)
    return FitData({"a": source(pixels)}, replace(points, role=role), normal, 2)


def _start(network, resume=None):
    return Start(network, ([], list(network.parameters())), resume)


def _same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_a_fit_lowers_its_loss(network, data):
    plan = replace(PLAN, epochs=6, patches=8)
    history = fit(_start(network()), data, plan, progress=Silence()).history
    assert history[-1].loss < 0.8 * history[0].loss
    assert [r.epoch for r in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1].learning_rate < history[0].learning_rate


def test_a_resumed_fit_gives_the_same_weights_to_the_bit(network, data):
    packed = {}
    whole = fit(
        _start(network()),
        data,
        PLAN,
        progress=Silence(),
        after_epoch=lambda record, pack: packed.update({record.epoch: pack()}),
    )
    for epoch in (1, 3, 4):
        checkpoint = unpack_checkpoint(packed[epoch], "checkpoint")
        torch.manual_seed(99)
        resumed = fit(_start(network(), checkpoint), data, PLAN, progress=Silence())
        assert _same(resumed.state, whole.state)
        assert resumed.best_epoch == whole.best_epoch
        assert [r.loss for r in resumed.history] == [r.loss for r in whole.history]


def test_held_out_points_never_teach(network, data):
    plan = replace(PLAN, epochs=1)
    points = data.points
    other = np.where(points.role == CHECK, 1 - points.class_id, points.class_id).astype(np.uint8)
    lied = replace(data, points=replace(points, class_id=other))
    one, two = (fit(_start(network()), d, plan, progress=Silence()) for d in (data, lied))
    assert _same(one.state, two.state)
    assert one.history[0].check_accuracy == pytest.approx(1 - two.history[0].check_accuracy)


def test_the_epoch_kept_is_the_best_on_held_out_points(network, data):
    kept = fit(_start(network()), data, PLAN, progress=Silence())
    scores = [r.check_miou for r in kept.history]
    assert kept.best_epoch == 1 + int(np.argmax(scores))
    model = network()
    model.load_state_dict(kept.state)
    checks = data.points.with_role(CHECK)
    logits, labels = read_logits(model, checks, data, patch_px=64, batch=2)
    accuracy = float((logits.argmax(1) == labels).float().mean())
    assert accuracy == pytest.approx(kept.history[kept.best_epoch - 1].check_accuracy)


def test_without_held_out_points_the_last_epoch_is_kept(network, data):
    everything = replace(data, points=data.points.with_role("train"))
    kept = fit(_start(network()), everything, replace(PLAN, epochs=2), progress=Silence())
    assert kept.best_epoch == 2
    assert math.isnan(kept.history[0].check_miou)


def test_a_last_step_of_one_patch_is_taken(network, data):
    plan = replace(PLAN, epochs=1, patches=3, batch=2)
    assert math.isfinite(fit(_start(network()), data, plan, progress=Silence()).history[0].loss)


def test_class_weights_change_what_is_learnt(network, data):
    plan = replace(PLAN, epochs=1)
    states = [
        fit(_start(network()), data, replace(plan, class_weights=w), progress=Silence()).state
        for w in (None, (1.0, 1.0), (5.0, 1.0))
    ]
    assert _same(states[0], states[1])
    assert not _same(states[0], states[2])


def test_without_a_point_there_is_nothing_to_train_on(network, data):
    empty = replace(data, points=data.points.with_role(CHECK))
    with pytest.raises(TrainingError, match="point"):
        fit(_start(network()), empty, PLAN, progress=Silence())


def test_a_loss_that_is_no_number_stops_the_fit(network, data):
    broken = network()
    torch.nn.init.constant_(broken.classifier[-1].bias, float("nan"))
    with pytest.raises(TrainingError, match="finite"):
        fit(_start(broken), data, PLAN, progress=Silence())


def test_a_damaged_checkpoint_is_named():
    with pytest.raises(ModelFileError, match=r"checkpoint\.pt"):
        unpack_checkpoint(b"PK\x03\x04 nothing", "checkpoint.pt")


def test_a_checkpoint_comes_back_whole(network, data):
    packed = []
    plan = replace(PLAN, epochs=1)
    fit(_start(network()), data, plan, progress=Silence(), after_epoch=lambda _, pack: packed.append(pack()))
    checkpoint = unpack_checkpoint(packed[0], "x")
    again = unpack_checkpoint(pack_checkpoint(checkpoint), "x")
    assert checkpoint.epoch == again.epoch == 1
    assert _same(checkpoint.network, again.network)
