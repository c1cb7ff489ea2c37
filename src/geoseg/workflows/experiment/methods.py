"""The methods that an experiment compares, one function each: from common settings to a method's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from geoseg.settings import TrainSettings


def forest(settings: TrainSettings) -> TrainSettings:
    """A random forest on colour and texture."""
    return settings.model_copy(update={"recipe": "forest"})


def partial_ce(settings: TrainSettings) -> TrainSettings:
    """DeepLabV3 with partial cross-entropy: pfCE without focusing."""
    return settings.model_copy(update={"recipe": "pfce", "gamma": 0.0})


def pfce(settings: TrainSettings) -> TrainSettings:
    """DeepLabV3 with partial focal cross-entropy."""
    return settings.model_copy(update={"recipe": "pfce"})


def quick(settings: TrainSettings) -> TrainSettings:
    """A linear head on layers of the frozen backbone."""
    return settings.model_copy(update={"recipe": "quick"})


def deep(settings: TrainSettings) -> TrainSettings:
    """The network of quick, fine-tuned by its map of the pixels without labels."""
    return settings.model_copy(update={"recipe": "deep"})


def full(settings: TrainSettings) -> TrainSettings:
    """DeepLabV3 with all labels of the masks."""
    return settings.model_copy(update={"recipe": "full"})


METHODS: Mapping[str, Callable[[TrainSettings], TrainSettings]] = {
    method.__name__.replace("_", "-"): method for method in (forest, partial_ce, pfce, quick, deep, full)
}
"""Every method by its name; one more is a function above and its place here."""
