import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from geoseg.domain.points import CHECK, make_points
from geoseg.domain.ports import NullProgress
from geoseg.errors import TrainingError
from geoseg.learning.features.reading import FitData, PointFeatures, Reader
from geoseg.learning.normalisation import Normalisation
from geoseg.networks.features.extractors import read_logits
from geoseg.networks.fitting.checkpoints import unpack_checkpoint
from geoseg.networks.fitting.loop import FitPlan, InitialState, fit, weighted_scores
from geoseg.networks.fitting.unlabelled_losses import UnlabelledLosses
from geoseg.networks.models.deeplab import DeepLabV3

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


@pytest.fixture
def full_size_network(tiny_network):
    """A fresh network whose logits come at the size of the patches."""

    class FullSize(DeepLabV3):
        def forward(self, images):
            return functional.interpolate(super().forward(images), images.shape[-2:], mode="bilinear")

    def build():
        tiny = tiny_network()
        return FullSize(tiny.backbone, tiny.classifier)

    return build


def _start(network, resume=None):
    return InitialState(network, ([], list(network.parameters())), resume)


def _same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_a_fit_lowers_its_loss_and_learns_its_points(tiny_network, data):
    plan = replace(PLAN, epochs=6, patches=16, head_rate=3e-2)
    fitted = fit(_start(tiny_network()), data, plan, progress=NullProgress())
    history = fitted.history
    assert history[-1].loss < 0.2 * history[0].loss
    model = tiny_network()
    model.load_state_dict(fitted.state)
    read = read_logits(model, data.points, data, reader=Reader(64, batch=2))
    logits, labels = torch.from_numpy(read.values), torch.from_numpy(read.label)
    assert len(labels) == 24
    assert (logits.argmax(1) == labels).float().mean() >= 0.95
    assert [r.epoch for r in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1].learning_rate < history[0].learning_rate


def test_a_resumed_fit_gives_the_same_weights_to_the_bit(tiny_network, data):
    packed = {}
    whole = fit(
        _start(tiny_network()),
        data,
        PLAN,
        progress=NullProgress(),
        after_epoch=lambda record, pack: packed.update({record.epoch: pack()}),
    )
    for epoch in (1, 3, 4):
        checkpoint = unpack_checkpoint(packed[epoch], "checkpoint")
        torch.manual_seed(99)
        resumed = fit(_start(tiny_network(), checkpoint), data, PLAN, progress=NullProgress())
        assert _same(resumed.state, whole.state)
        assert resumed.best_epoch == whole.best_epoch
        assert [r.loss for r in resumed.history] == [r.loss for r in whole.history]


def test_held_out_points_never_teach(tiny_network, data):
    plan = replace(PLAN, epochs=1)
    points = data.points
    other = np.where(points.role == CHECK, 1 - points.class_id, points.class_id).astype(np.uint8)
    lied = replace(data, points=replace(points, class_id=other))
    one, two = (fit(_start(tiny_network()), d, plan, progress=NullProgress()) for d in (data, lied))
    assert _same(one.state, two.state)
    assert one.history[0].check_accuracy == pytest.approx(1 - two.history[0].check_accuracy)


def test_the_epoch_kept_is_the_best_on_held_out_points(tiny_network, data):
    kept = fit(_start(tiny_network()), data, PLAN, progress=NullProgress())
    # Few points score the same at many epochs; then the lowest loss is kept.
    best = max(kept.history, key=lambda r: (r.check_miou, -r.check_loss))
    assert kept.best_epoch == best.epoch
    model = tiny_network()
    model.load_state_dict(kept.state)
    checks = data.points.with_role(CHECK)
    read = read_logits(model, checks, data, reader=Reader(64, batch=2))
    logits, labels = torch.from_numpy(read.values), torch.from_numpy(read.label)
    accuracy = float((logits.argmax(1) == labels).float().mean())
    assert accuracy == pytest.approx(kept.history[kept.best_epoch - 1].check_accuracy)


def test_without_held_out_points_the_last_epoch_is_kept(tiny_network, data):
    everything = replace(data, points=data.points.with_role("train"))
    kept = fit(_start(tiny_network()), everything, replace(PLAN, epochs=2), progress=NullProgress())
    assert kept.best_epoch == 2
    assert math.isnan(kept.history[0].check_miou)


def test_a_last_step_of_one_patch_is_taken(network, data):
    plan = replace(PLAN, epochs=1, patches=3, batch=2)
    assert math.isfinite(fit(_start(network()), data, plan, progress=NullProgress()).history[0].loss)


def test_patches_follow_the_spread_of_the_points_where_none_are_stated(tiny_network, data):
    class Counter(NullProgress):
        total = 0

        def start(self, what, total):
            self.total = total

    counter = Counter()
    fit(_start(tiny_network()), data, replace(PLAN, epochs=2, patches=0, batch=10), progress=counter)
    # At least 64 patches an epoch: 7 steps of 10, twice.
    assert counter.total == 14


def test_an_average_without_memory_keeps_the_last_weights(tiny_network, data):
    everything = replace(data, points=data.points.with_role("train"))
    trained = tiny_network()
    kept = fit(_start(trained), everything, replace(PLAN, epochs=1, average=0.0), progress=NullProgress())
    weights = {n: t for n, t in trained.state_dict().items() if t.is_floating_point()}
    assert all(torch.equal(kept.state[n], t) for n, t in weights.items())


def test_pretrained_parameters_learn_at_their_own_rate(tiny_network, data):
    trained = tiny_network()
    before = {n: p.detach().clone() for n, p in trained.named_parameters()}
    parameters = (list(trained.backbone.parameters()), list(trained.classifier.parameters()))
    plan = replace(PLAN, epochs=1, backbone_rate=0.0)
    fit(InitialState(trained, parameters), data, plan, progress=NullProgress())
    moved = {n for n, p in trained.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {n for n in before if n.startswith("classifier.")}


def test_class_weights_change_what_is_learnt(tiny_network, data):
    plan = replace(PLAN, epochs=1)
    states = [
        fit(_start(tiny_network()), data, replace(plan, class_weights=w), progress=NullProgress()).state
        for w in (None, (1.0, 1.0), (5.0, 1.0))
    ]
    assert _same(states[0], states[1])
    assert not _same(states[0], states[2])


def test_without_a_point_there_is_nothing_to_train_on(tiny_network, data):
    empty = replace(data, points=data.points.with_role(CHECK))
    with pytest.raises(TrainingError, match="point"):
        fit(_start(tiny_network()), empty, PLAN, progress=NullProgress())


def test_a_loss_that_is_no_number_stops_the_fit(tiny_network, data):
    broken = tiny_network()
    torch.nn.init.constant_(broken.classifier[-1].bias, float("nan"))
    with pytest.raises(TrainingError, match="finite"):
        fit(_start(broken), data, PLAN, progress=NullProgress())


def test_guidance_without_weight_gives_the_plain_fit_to_the_bit(tiny_network, data):
    idle = UnlabelledLosses(color=PLAN.color)
    plain, guided = (
        fit(
            _start(tiny_network()),
            data,
            replace(PLAN, epochs=2, unlabelled_losses=g),
            progress=NullProgress(),
        )
        for g in (None, idle)
    )
    assert _same(plain.state, guided.state)


def test_a_guided_fit_that_is_resumed_gives_the_same_weights_to_the_bit(full_size_network, data):
    unlabelled_losses = UnlabelledLosses(
        consistency=1.0, has_rotations=True, has_cutmix=True, growing=0.5, affinity=0.1, fraction=0.7
    )
    plan, packed = replace(PLAN, epochs=2, unlabelled_losses=unlabelled_losses), {}
    whole = fit(
        _start(full_size_network()),
        data,
        plan,
        progress=NullProgress(),
        after_epoch=lambda record, pack: packed.update({record.epoch: pack()}),
    )
    checkpoint = unpack_checkpoint(packed[1], "checkpoint")
    resumed = fit(_start(full_size_network(), checkpoint), data, plan, progress=NullProgress())
    assert _same(resumed.state, whole.state)


def test_a_student_learns_what_its_teacher_says_of_land_without_points(full_size_network, data):
    """The teacher calls everything class 1; no point says so."""
    teacher = full_size_network()
    torch.nn.init.zeros_(teacher.classifier[-1].weight)
    teacher.classifier[-1].bias = torch.nn.Parameter(torch.tensor([-4.0, 4.0]))
    west = replace(data, points=data.points.take(data.points.class_id == 0))
    unlabelled_losses = UnlabelledLosses(points=0.0, consistency=1.0)
    plan = replace(PLAN, epochs=6, patches=8, head_rate=3e-2, unlabelled_losses=unlabelled_losses)
    start = replace(_start(full_size_network()), teacher=teacher.eval())
    student = full_size_network()
    student.load_state_dict(fit(start, west, plan, progress=NullProgress()).state)
    read = read_logits(student, data.points, data, reader=Reader(64, batch=2))
    assert (read.values.argmax(1) == 1).all()


def test_what_is_declared_absent_is_not_learnt_from_the_teacher(full_size_network, data):
    """The teacher calls everything class 1, which the image is said not to have."""
    teacher = full_size_network()
    torch.nn.init.zeros_(teacher.classifier[-1].weight)
    teacher.classifier[-1].bias = torch.nn.Parameter(torch.tensor([-4.0, 4.0]))
    unlabelled_losses = UnlabelledLosses(points=0.0, consistency=1.0, absent={"a": (False, True)})
    plan = replace(PLAN, epochs=6, patches=8, head_rate=3e-2, unlabelled_losses=unlabelled_losses)
    start = replace(_start(full_size_network()), teacher=teacher.eval())
    student = full_size_network()
    student.load_state_dict(fit(start, data, plan, progress=NullProgress()).state)
    read = read_logits(student, data.points, data, reader=Reader(64, batch=2))
    assert (read.values.argmax(1) == 0).all()


def test_epochs_are_compared_by_the_weights_of_their_points():
    # Class 0: a point of weight 3 right. Class 1: weight 1 right, weight 1 mapped as class 0.
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    read = PointFeatures(
        logits.numpy(), np.array([0, 1, 1]), np.array([3.0, 1.0, 1.0], np.float32), np.ones(3, bool)
    )
    loss, overall, miou = weighted_scores(read, 3)
    right, wrong = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    assert loss == pytest.approx((4 * right + wrong) / 5)
    assert overall == pytest.approx(4 / 5)
    assert miou == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_epochs_are_compared_with_context_around_each_cell(tiny_network, data):
    sides = set()

    class Watched(type(data.sources["a"])):
        def read(self, window):
            sides.add(window.height)
            return super().read(window)

    watched = replace(data, sources={"a": Watched(data.sources["a"].pixels)})
    still = replace(PLAN, epochs=1, scale=1.0)
    fit(_start(tiny_network()), watched, still, progress=NullProgress())
    # Patches of 64 px, and cells of 64 px with 32 px around them.
    assert sides == {64, 128}


def test_held_out_points_without_weight_do_not_choose(tiny_network, data):
    weightless = replace(data.points, weight=np.where(data.points.role == CHECK, 0.0, 1.0))
    fitted = fit(
        _start(tiny_network()),
        replace(data, points=weightless),
        replace(PLAN, epochs=2),
        progress=NullProgress(),
    )
    assert fitted.best_epoch == 2
    assert math.isnan(fitted.history[0].check_loss)
