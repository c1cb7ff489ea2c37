"""Time and memory of pfCE read at points, against the same loss on logits upsampled to every pixel.

A batch of 8 patches of 512 px, 5 classes, logits of 64 x 64 cells, 50 points per class and patch;
forward and backward. Memory is what the step allocates at its peak, as torch's profiler counts it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from geoseg.cli.show import print_table
from geoseg.networks.losses.pfce import PatchPoints, pfce_at_points, pfce_dense

PATCHES, CLASSES, SIDE, CELLS, PER_CLASS, REPEATS = 8, 5, 512, 64, 50, 9


def main() -> None:
    """Print one row for each form."""
    torch.manual_seed(0)
    logits = torch.randn(PATCHES, CLASSES, CELLS, CELLS, requires_grad=True)
    labels, points = _labels()
    steps = {
        "dense": lambda: pfce_dense(_upsampled(logits), labels),
        "at points": lambda: pfce_at_points(logits, points, (SIDE, SIDE)),
    }
    assert torch.allclose(steps["dense"](), steps["at points"]())
    seconds = {name: _seconds(step, logits) for name, step in steps.items()}
    peak = {name: _peak_bytes(step, logits) for name, step in steps.items()}
    rows = [
        [
            name,
            f"{1000 * seconds[name]:.2f}",
            f"{seconds['dense'] / seconds[name]:.0f}",
            f"{peak[name] / 2**20:.1f}",
            f"{peak['dense'] / peak[name]:.0f}",
        ]
        for name in steps
    ]
    print_table(["form", "ms", "times faster", "peak MiB", "times smaller"], rows)


def _labels() -> tuple[Tensor, PatchPoints]:
    count = CLASSES * PER_CLASS
    index = torch.arange(PATCHES).repeat_interleave(count)
    place = torch.cat([torch.randperm(SIDE * SIDE)[:count] for _ in range(PATCHES)])
    row, col = place // SIDE, place % SIDE
    label = torch.arange(CLASSES).repeat_interleave(PER_CLASS).repeat(PATCHES)
    labels = torch.full((PATCHES, SIDE, SIDE), 255)
    labels[index, row, col] = label
    return labels, PatchPoints(index, row.double(), col.double(), label, torch.ones(len(label)))


def _upsampled(logits: Tensor) -> Tensor:
    return functional.interpolate(logits, (SIDE, SIDE), mode="bilinear", align_corners=False)


def _step(loss: Callable[[], Tensor], logits: Tensor) -> None:
    logits.grad = None
    loss().backward()


def _seconds(loss: Callable[[], Tensor], logits: Tensor) -> float:
    """Return the median time of a step, after one that does not count."""
    times = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        _step(loss, logits)
        times.append(time.perf_counter() - began)
    return median(times[1:])


def _peak_bytes(loss: Callable[[], Tensor], logits: Tensor) -> int:
    """Return the most that a step has allocated at any moment."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        _step(loss, logits)
    held = peak = 0
    memory = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(memory, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


if __name__ == "__main__":
    main()
