"""Distributed training: start or join the processes that train one network."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Literal

import torch
from torch.distributed import is_torchelastic_launched

from geoseg.errors import SettingsError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# Its messages about precision are of no use to users.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def launch_fabric(device: str, precision: Literal["float32", "bf16"], processes: int = 1) -> Fabric:
    """Start the other processes, or join those that torchrun started, and return the Fabric.

    Each other process runs the same command line as this one.

    Args:
        device: "cpu", "cuda" or "mps".
        precision: "float32" or "bf16" (mixed: weights stay float32).
        processes: Number of processes (devices) on this machine; overridden by torchrun.

    Raises:
        SettingsError: There are fewer devices than processes.
    """
    machines = 1
    if is_torchelastic_launched():
        processes = int(os.environ["LOCAL_WORLD_SIZE"])
        machines = int(os.environ["WORLD_SIZE"]) // processes
    devices = {"cuda": torch.cuda.device_count(), "mps": 1}.get(device, processes)
    if processes > devices:
        raise SettingsError(
            f"there are not enough {device} devices",
            where="--processes",
            expected=f"{devices} at most",
            got=processes,
        )
    from lightning_fabric import Fabric  # takes seconds to import

    fabric = Fabric(
        accelerator=device,
        devices=processes,
        num_nodes=machines,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric
