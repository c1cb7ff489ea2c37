"""Quantise a model to int8 with a calibration sample from the raster to map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from geoseg.domain.choices import stratified_choice
from geoseg.domain.mapping.prediction import ALIGNMENT_PX
from geoseg.domain.ports import Predictor, Progress
from geoseg.domain.windows import spaced_windows
from geoseg.errors import RasterError, SettingsError
from geoseg.geodata.reading.rasters import Raster
from geoseg.inference.quantisation import (
    Ranges,
    WindowPixels,
    class_agreement,
    measure_ranges,
    quantise,
    quantiser_versions,
)
from geoseg.inference.runtimes import fuse_batch_norms
from geoseg.learning.model_file import Model
from geoseg.workflows.mapping.backends import build_predictor

WINDOW_PX = 256
MAX_WINDOWS_PER_SIDE = 5
MIN_VALID_SHARE = 0.5
MIN_AGREEMENT = 0.95
COMPARED_EVERY = 3  # One window in three is held out for the comparison with float32.


@dataclass(frozen=True)
class Quantised:
    """An int8 network.

    Attributes:
        network: The network as ONNX.
        ranges: The activation ranges used for quantisation.
    """

    network: bytes
    ranges: Ranges

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Versions, hash and ranges to reproduce the network and to verify it; JSON values."""
        return {
            "quantised_by": quantiser_versions(),
            "quantised_network": sha256(self.network).hexdigest(),
            "quantised_ranges": self.ranges,
        }


@dataclass(frozen=True)
class Sample:
    """Windows of a raster: ``fitted`` for the activation ranges, ``compared`` for the comparison with float32."""

    fitted: Sequence[WindowPixels]
    compared: Sequence[WindowPixels]


def read_sample(source: Raster) -> Sample:
    """Read windows spread evenly over a raster. The choice is deterministic.

    Raises:
        RasterError: The windows have no valid pixel.
    """
    windows = spaced_windows(
        source.height, source.width, WINDOW_PX, most=MAX_WINDOWS_PER_SIDE, step=ALIGNMENT_PX
    )
    read = [found for found in map(source.read, windows) if found[1].any()]
    full = [found for found in read if found[1].mean() >= MIN_VALID_SHARE] or read
    if not full:
        raise RasterError(
            "no valid pixel was found for the int8 calibration",
            where=source.info.path,
            hint="Put a raster with more valid pixels first, or leave out --precision int8.",
        )
    if len(full) < COMPARED_EVERY:
        return Sample(full, full)
    compared = stratified_choice(np.zeros(len(full)), len(full) // COMPARED_EVERY)
    return Sample([w for n, w in enumerate(full) if n not in compared], [full[n] for n in compared])


def quantise_for(model: Model, sample: Sample) -> Quantised:
    """Quantise a model by its activation ranges on a sample."""
    network = fuse_batch_norms(model.onnx)
    normalise = model.record.normalisation.apply
    ranges = measure_ranges(
        network, (normalise(pixels[None], valid[None]) for pixels, valid in sample.fitted)
    )
    return Quantised(quantise(network, ranges), ranges)


def quantise_again(model: Model, identity: Mapping[str, Any]) -> Quantised:
    """Quantise a model with the ranges in an identity, without a raster.

    Raises:
        SettingsError: The result differs, because the versions of the packages differ.
    """
    ranges = tuple((str(name), float(low), float(high)) for name, low, high in identity["quantised_ranges"])
    expected, got = identity["quantised_by"], quantiser_versions()
    if expected == got:
        made = Quantised(quantise(fuse_batch_norms(model.onnx), ranges), ranges)
        expected, got = identity["quantised_network"], made.identity["quantised_network"]
        if expected == got:
            return made
    raise SettingsError(
        "this machine produces a different int8 network from the one that the map was started with",
        where="--precision",
        expected=expected,
        got=got,
        hint="Use the same versions on every machine, or restart the map with --overwrite.",
    )


def report(model: Model, predictor: Predictor, sample: Sample, *, progress: Progress) -> None:
    """Report the share of sample pixels with the same class in int8 and float32; warn if it is under 95 %."""
    exact = build_predictor(model, "onnx", device="cpu", precision="float32")
    share = class_agreement(exact, predictor, sample.compared)
    count = len(sample.compared)
    where = "a window" if count == 1 else f"{count} windows"
    held_out = "" if sample.compared is sample.fitted else " outside the calibration sample"
    say = progress.say if share >= MIN_AGREEMENT else progress.warn
    say(f"int8: {100 * share:.1f} % of the pixels in {where}{held_out} have the same class as in float32")
