"""The processes that fit one network together, on one machine or several."""

from __future__ import annotations

import logging
import os
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch.distributed import is_torchelastic_launched

from geoseg.errors import SettingsError

# Which precision it uses, and tips on float32: nothing that a user has asked for.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def is_distributed() -> bool:
    """Say whether torchrun started this process as one of several."""
    return is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1


def launch_fabric(device: str, precision: Literal["float32", "bf16"], processes: int = 1) -> Fabric:
    """Start the other processes, or join those that torchrun started; all of them run on from here.

    What is started is the command line of this process, once more for each of the others.

    Args:
        device: "cpu", "cuda" or "mps".
        precision: "float32" or "bf16" (mixed: weights stay float32).
        processes: Processes (devices) of this machine; torchrun's own count goes first.

    Raises:
        SettingsError: There are not so many devices.
    """
    machines = 1
    if is_torchelastic_launched():
        processes = int(os.environ["LOCAL_WORLD_SIZE"])
        machines = int(os.environ["WORLD_SIZE"]) // processes
    devices = {"cuda": torch.cuda.device_count(), "mps": 1}.get(device, processes)
    if processes > devices:
        raise SettingsError(
            f"there are not so many devices of the kind {device}",
            where="--processes",
            expected=f"{devices} at most",
            got=processes,
        )
    fabric = Fabric(
        accelerator=device,
        devices=processes,
        num_nodes=machines,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric
