"""Methods that an experiment compares: one function each adapts the common settings."""

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
    """A linear head on features of the frozen backbone."""
    return settings.model_copy(update={"recipe": "quick"})


def deep(settings: TrainSettings) -> TrainSettings:
    """The network of quick, fine-tuned with pseudo-labels at unlabelled pixels."""
    return settings.model_copy(update={"recipe": "deep"})


def full(settings: TrainSettings) -> TrainSettings:
    """DeepLabV3 trained on the complete masks."""
    return settings.model_copy(update={"recipe": "full"})


METHODS: Mapping[str, Callable[[TrainSettings], TrainSettings]] = {
    method.__name__.replace("_", "-"): method for method in (forest, partial_ce, pfce, quick, deep, full)
}
"""Methods by name. To add one, write a function above and list it here."""
