"""Several processes fit as one does: torchrun starts them, gloo sums over them."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from geoseg.errors import SettingsError
from geoseg.networks.fitting.processes import launch_fabric

SCRIPT = Path(__file__).with_name("fit_together.py")


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_with_the_doubled_batch(tmp_path):
    # Of 5 patches in steps of 4, the last step has one, and the second process none of its own.
    one = runpy.run_path(str(SCRIPT))["losses"](5)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *torchrun, str(SCRIPT), str(tmp_path), "5"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second
    assert first == pytest.approx(one, abs=1e-4)
    assert one[-1] < one[0]


@pytest.mark.parametrize(("device", "least"), [("cuda", torch.cuda.device_count()), ("mps", 1)])
def test_more_processes_than_devices_are_refused(device, least):
    with pytest.raises(SettingsError, match=rf"not enough {device} devices.*expected {least} at most"):
        launch_fabric(device, "float32", least + 1)
