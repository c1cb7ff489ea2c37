import pickle
from pathlib import Path

import pytest
import torch

from geoseg.errors import ModelFileError
from geoseg.networks.fitting.checkpoints import Checkpoint, pack_checkpoint, unpack_checkpoint

CHECKPOINT = Checkpoint(
    epoch=3,
    network={"weight": torch.tensor([1.0, -0.0, 1e-45])},
    average={"updates": 7, "weights": {"weight": torch.tensor([2.0])}},
    optimizer={
        "state": {0: {"step": torch.tensor(5.0)}},
        "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999)}],
    },
    schedule={"last_epoch": 4, "_last_lr": [0.1]},
    best_epoch=2,
    best_score=0.1 + 0.2,
    best_state={"weight": torch.tensor([3.0])},
    history=[{"epoch": 1, "loss": 0.25, "check_miou": float("nan")}],
)


def test_a_checkpoint_comes_back_whole():
    again = unpack_checkpoint(pack_checkpoint(CHECKPOINT), "x")
    assert repr(again) == repr(CHECKPOINT)
    assert torch.equal(again.network["weight"], CHECKPOINT.network["weight"])
    assert again.best_score == CHECKPOINT.best_score


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_damaged_checkpoint_is_named(share):
    content = pack_checkpoint(CHECKPOINT)
    with pytest.raises(ModelFileError, match=r"checkpoint\.pt.*without --resume"):
        unpack_checkpoint(content[: int(share * len(content))], "checkpoint.pt")


def test_a_file_of_something_else_is_no_checkpoint(tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pth")
    with pytest.raises(ModelFileError, match="weights"):
        unpack_checkpoint((tmp_path / "weights.pth").read_bytes(), "weights.pth")


class _Hostile:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return Path.touch, (self.victim,)


@pytest.mark.parametrize("write", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_code_in_a_checkpoint_is_not_run(tmp_path, write):
    victim, path = tmp_path / "victim", tmp_path / "checkpoint.pt"
    write({"epoch": _Hostile(victim)}, path)
    with pytest.raises(ModelFileError, match="checkpoint"):
        unpack_checkpoint(path.read_bytes(), path)
    assert not victim.exists()
