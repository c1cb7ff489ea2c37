"""Check what a map of uncertain pixels needs."""

from __future__ import annotations

from geoseg.domain.legend import UNSURE
from geoseg.errors import SettingsError
from geoseg.learning.model_file import ModelRecord
from geoseg.settings import PredictSettings


def check_uncertainty(settings: PredictSettings, record: ModelRecord) -> None:
    """Check that the model has what abstaining and conformal sets need.

    Raises:
        SettingsError: A class has the code of unsure pixels, or the model has no conformal thresholds.
    """
    if settings.abstain is not None and len(record.legend) > UNSURE:
        raise SettingsError(
            "the model has a class with the code of unsure pixels",
            where="--abstain",
            expected=f"at most {UNSURE} classes",
            got=len(record.legend),
        )
    if "conformal" in settings.also and not record.conformal_thresholds:
        raise SettingsError(
            "the model has no conformal thresholds",
            where=settings.model,
            expected="a model with points held out in its training",
            hint="Train it again with points in several places.",
        )
