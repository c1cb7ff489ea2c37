import torch
from torch import nn

from geoseg.networks.fitting.weight_averaging import MovingAverage


def _network(value):
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.constant_(network[0].weight, value)
    network[1].running_mean.fill_(value)
    return network


def test_without_memory_the_average_is_the_network():
    average = MovingAverage(_network(0.0), decay=0.0)
    average.update(_network(1 / 3))
    assert average.module[0].weight.item() == _network(1 / 3)[0].weight.item()


def test_early_on_the_start_is_soon_forgotten():
    # Decays 1/10 and 2/11: 0 -> 0.1 * 0 + 0.9 * 1 = 0.9 -> 2/11 * 0.9 + 9/11 * 2 = 1.8.
    average = MovingAverage(_network(0.0), decay=0.99)
    average.update(_network(1.0))
    torch.testing.assert_close(average.module[0].weight.item(), 0.9)
    average.update(_network(2.0))
    torch.testing.assert_close(average.module[0].weight.item(), 1.8)


def test_in_the_long_run_the_memory_is_as_stated():
    average = MovingAverage(_network(0.0), decay=0.5)
    for _ in range(9):
        average.update(_network(1.0))
    before = average.module[0].weight.item()
    average.update(_network(3.0))
    torch.testing.assert_close(average.module[0].weight.item(), 0.5 * before + 1.5)


def test_running_statistics_are_averaged_too_and_the_copy_stays_in_eval_mode():
    average = MovingAverage(_network(0.0).train(), decay=0.99)
    average.update(_network(1.0).train())
    torch.testing.assert_close(average.module[1].running_mean.item(), 0.9)
    assert not average.module.training
    assert not any(p.requires_grad for p in average.module.parameters())


def test_a_restored_average_goes_on_as_if_it_had_not_stopped():
    whole, again = MovingAverage(_network(0.0), decay=0.99), MovingAverage(_network(5.0), decay=0.99)
    whole.update(_network(1.0))
    again.restore(whole.state())
    for average in (whole, again):
        average.update(_network(2.0))
    assert torch.equal(whole.module[0].weight, again.module[0].weight)
