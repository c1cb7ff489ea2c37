"""The folder beside a model file that holds a training run: its settings, log and last checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch.utils.tensorboard import SummaryWriter

from geoseg.errors import ModelFileError, OutputError, ResumeError
from geoseg.geodata.outputs.atomic_files import (
    check_output,
    check_own_folder,
    whole_file,
    write_json,
    write_text,
)
from geoseg.geodata.reading.identity import Identity, first_changed_file
from geoseg.networks.fitting.checkpoints import Checkpoint, unpack_checkpoint
from geoseg.networks.fitting.loop import EpochRecord

_CONTENTS = ("run.json", "auto.json", "log.jsonl", "checkpoint.pt", "curves.png", "tensorboard")


class RunFolder:
    """Keeps what a run needs to be resumed and read later; ``model.geoseg`` has ``model.run/``.

    Args:
        model: The model file.
        is_read_only: Whether another process writes here; this one only reads what it goes on from.

    Raises:
        OutputError: The folder holds files that are not of a run.
    """

    def __init__(self, model: Path, *, is_read_only: bool = False) -> None:
        self.path = model.with_suffix(".run")
        check_own_folder(self.path, _CONTENTS, what="the record of this training")
        self.checkpoint = self.path / "checkpoint.pt"
        self._identity = self.path / "run.json"
        self._findings = self.path / "auto.json"
        self._log = self.path / "log.jsonl"
        self._board: SummaryWriter | None = None
        self._is_read_only = is_read_only
        self.earlier_s = 0.0
        """Seconds that the epochs of earlier tries took."""

    def begin(self, identity: Mapping[str, Any], *, resume: bool, overwrite: bool) -> Checkpoint | None:
        """Prepare the folder and return the checkpoint to go on from, if there is one and it is wanted.

        Args:
            identity: What must be alike for a resumed run to be the same run; JSON values, with the identities of the
                ``rasters`` by image name.
            resume: Whether to go on from the last checkpoint.
            overwrite: Whether an unfinished run may be replaced.

        Raises:
            OutputError: An unfinished run is there and neither ``resume`` nor ``overwrite`` is set.
            ResumeError: The checkpoint is of a run with other settings, points or rasters.
            ModelFileError: The checkpoint is damaged.
        """
        checkpoint = self._resumed(identity) if resume and self.checkpoint.exists() else None
        self.earlier_s = sum(r["seconds"] for r in checkpoint.history) if checkpoint is not None else 0.0
        if self._is_read_only:
            return checkpoint
        if checkpoint is None:
            self._clear(may=resume or overwrite)
            write_json(self._identity, dict(identity))
        self._board = SummaryWriter(str(self.path / "tensorboard"))
        return checkpoint

    def after_epoch(self, record: EpochRecord, pack: Callable[[], bytes]) -> None:
        """Store the checkpoint, then log the epoch."""
        content = pack()
        with whole_file(self.checkpoint, overwrite=True) as partial:
            partial.write_bytes(content)
        values = {k: v for k, v in asdict(record).items() if math.isfinite(v)}
        earlier = self._log.read_text() if self._log.exists() else ""
        write_text(self._log, earlier + json.dumps(values) + "\n")
        assert self._board is not None
        for name in values.keys() - {"epoch", "seconds"}:
            self._board.add_scalar(name, values[name], record.epoch)
        self._board.flush()

    def write_findings(self, found: Mapping[str, Any]) -> None:
        """Store why a recipe was chosen, for a run that goes on later; JSON values."""
        write_json(self._findings, dict(found))

    def read_findings(self) -> dict[str, Any]:
        """Return what :func:`write_findings` stored.

        Raises:
            ModelFileError: It is not there, or damaged.
        """
        return self._read_json(self._findings, "why the recipe was chosen")

    def finish(self) -> None:
        """Remove the checkpoint of a run whose model is written."""
        self.checkpoint.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._board is not None:
            self._board.close()

    def _resumed(self, identity: Mapping[str, Any]) -> Checkpoint:
        stored = self._read_json(self._identity, "the settings of the unfinished run")
        now = json.loads(json.dumps(identity))
        # Runs of earlier versions do not say what their rasters were.
        rasters, rasters_now = stored.pop("rasters", now["rasters"]), now.pop("rasters")
        differing = sorted(k for k in stored.keys() | now.keys() if stored.get(k) != now.get(k))
        if differing:
            first = differing[0]
            raise ResumeError(
                f"the checkpoint is of another run; they differ in {', '.join(differing)}",
                where=self.checkpoint,
                expected=f"{first} = {stored.get(first)}",
                got=f"{first} = {now.get(first)}",
                hint="Give the settings it was begun with, or use --overwrite to start anew.",
            )
        if not self._is_read_only:  # Other machines may have copies of the rasters.
            self._check_rasters(rasters, rasters_now)
        return unpack_checkpoint(self.checkpoint.read_bytes(), self.checkpoint)

    def _check_rasters(self, before: Mapping[str, Identity], now: Mapping[str, Identity]) -> None:
        """Refuse rasters that are not those that the run began with.

        Raises:
            ResumeError: A raster changed, was added or is missing.
        """
        differing = sorted(before.keys() ^ now.keys())
        if differing:
            raise ResumeError(
                f"the training began with other rasters; they differ in {', '.join(differing)}",
                where=self.checkpoint,
                hint="Give the rasters it was begun with, or use --overwrite to start anew.",
            )
        changed = (first_changed_file(before[name], now[name]) for name in now)
        if file := next(filter(None, changed), None):
            raise ResumeError(
                "the raster changed since this training began, and the checkpoint is of the raster as it was",
                where=file,
                hint="Restore the file with its path and modification time, or use --overwrite to start anew.",
            )

    @staticmethod
    def _read_json(path: Path, what: str) -> dict[str, Any]:
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ModelFileError(
                f"{what} cannot be read",
                where=path,
                got=error,
                hint="Use --overwrite to start anew.",
            ) from error

    def _clear(self, *, may: bool) -> None:
        if self.checkpoint.exists() and not may:
            raise OutputError(
                "an unfinished training run is here",
                where=self.path,
                hint="Use --resume to go on with it, or --overwrite to start anew.",
            )
        for old in (
            self.checkpoint,
            self._log,
            self._findings,
            *(self.path / "tensorboard").glob("events.*"),
        ):
            old.unlink(missing_ok=True)
        check_output(self._identity, overwrite=True)
