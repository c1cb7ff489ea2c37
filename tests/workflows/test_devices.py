import pytest
import torch

from geoseg.errors import SettingsError
from geoseg.workflows.devices import choose_device, choose_precision


def test_the_wish_is_granted_where_it_can_be():
    assert choose_device("cpu") == "cpu"
    assert choose_precision("float32", "cpu") == "float32"
    assert choose_precision("bf16", "cpu") == "bf16"


def test_auto_takes_what_is_there():
    assert choose_device("auto") in {"cpu", "cuda", "mps"}
    assert choose_precision("auto", "cpu") in {"float32", "bf16"}


@pytest.mark.skipif(
    torch.backends.mps.is_available(), reason="this machine has the device that is missed here"
)
def test_a_device_that_is_missing_names_those_that_are_there():
    with pytest.raises(SettingsError, match=r"--device.*cpu.*mps"):
        choose_device("mps")
