"""The folder of a training run, next to its model file: settings, log and last checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from geoseg.errors import ModelFileError, OutputError, ResumeError
from geoseg.geodata.outputs.atomic_files import (
    check_output,
    check_own_folder,
    whole_file,
    write_json,
    write_text,
)
from geoseg.geodata.reading.identity import Identity, first_changed_file

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from geoseg.networks.fitting.checkpoints import Checkpoint
    from geoseg.networks.fitting.loop import EpochRecord

_CONTENTS = ("run.json", "auto.json", "log.jsonl", "checkpoint.pt", "curves.png", "tensorboard")


class RunFolder:
    """Files to resume and inspect a training run; ``model.run/`` for ``model.geoseg``.

    Args:
        model: The model file.
        is_read_only: Whether this process only reads the checkpoint and another one writes to the folder.

    Raises:
        OutputError: The folder holds files that do not belong to a run.
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
        """Seconds of the epochs before the run was resumed."""

    def begin(self, identity: Mapping[str, Any], *, resume: bool, overwrite: bool) -> Checkpoint | None:
        """Prepare the folder. With ``resume``, return the checkpoint if there is one.

        Args:
            identity: Settings that must be equal to resume a run; JSON values, with the identities of the ``rasters`` by
                image name.
            resume: Whether to resume from the last checkpoint.
            overwrite: Whether an unfinished run may be replaced.

        Raises:
            OutputError: The folder has an unfinished run, and neither ``resume`` nor ``overwrite`` is set.
            ResumeError: The checkpoint belongs to other settings, points or rasters.
            ModelFileError: The checkpoint is damaged.
        """
        checkpoint = self._resumed(identity) if resume and self.checkpoint.exists() else None
        self.earlier_s = sum(r["seconds"] for r in checkpoint.history) if checkpoint is not None else 0.0
        if self._is_read_only:
            return checkpoint
        if checkpoint is None:
            self._clear(may=resume or overwrite)
            write_json(self._identity, dict(identity))
        return checkpoint

    def after_epoch(self, record: EpochRecord, pack: Callable[[], bytes]) -> None:
        """Store the checkpoint, then log the epoch."""
        content = pack()
        with whole_file(self.checkpoint, overwrite=True) as partial:
            partial.write_bytes(content)
        values = {k: v for k, v in asdict(record).items() if math.isfinite(v)}
        earlier = self._log.read_text() if self._log.exists() else ""
        write_text(self._log, earlier + json.dumps(values) + "\n")
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter as Writer  # takes seconds to import

            self._board = Writer(str(self.path / "tensorboard"))
        for name in values.keys() - {"epoch", "seconds"}:
            self._board.add_scalar(name, values[name], record.epoch)
        self._board.flush()

    def write_findings(self, found: Mapping[str, Any]) -> None:
        """Store the scores behind the choice of a recipe, for a resumed run; JSON values."""
        write_json(self._findings, dict(found))

    def read_findings(self) -> dict[str, Any]:
        """Return the content written by :func:`write_findings`.

        Raises:
            ModelFileError: The file is missing or damaged.
        """
        return self._read_json(self._findings, "the record of the recipe choice")

    def finish(self) -> None:
        """Remove the checkpoint after the model is written."""
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
        current = json.loads(json.dumps(identity))
        # Runs of earlier versions have no record of their rasters.
        stored_rasters, rasters = stored.pop("rasters", current["rasters"]), current.pop("rasters")
        differing = sorted(k for k in stored.keys() | current.keys() if stored.get(k) != current.get(k))
        if differing:
            first = differing[0]
            raise ResumeError(
                f"the checkpoint has other settings; they differ in {', '.join(differing)}",
                where=self.checkpoint,
                expected=f"{first} = {stored.get(first)}",
                got=f"{first} = {current.get(first)}",
                hint="Use the settings of the checkpoint, or --overwrite to restart the training.",
            )
        if not self._is_read_only:  # Other machines may have copies of the rasters.
            self._check_rasters(stored_rasters, rasters)
        from geoseg.networks.fitting.checkpoints import unpack_checkpoint

        return unpack_checkpoint(self.checkpoint.read_bytes(), self.checkpoint)

    def _check_rasters(self, stored: Mapping[str, Identity], current: Mapping[str, Identity]) -> None:
        """Check that the rasters are the same as at the start of the run.

        Raises:
            ResumeError: A raster changed, was added or is missing.
        """
        differing = sorted(stored.keys() ^ current.keys())
        if differing:
            raise ResumeError(
                f"the checkpoint has other rasters; they differ in {', '.join(differing)}",
                where=self.checkpoint,
                hint="Use the rasters of the checkpoint, or --overwrite to restart the training.",
            )
        changed = (first_changed_file(stored[name], current[name]) for name in current)
        if file := next(filter(None, changed), None):
            raise ResumeError(
                "the raster changed after the start of this training",
                where=file,
                hint="Restore the file with its path and modification time, or use --overwrite to restart the training.",
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
                hint="Use --overwrite to restart the training.",
            ) from error

    def _clear(self, *, may: bool) -> None:
        if self.checkpoint.exists() and not may:
            raise OutputError(
                "this folder has an unfinished training run",
                where=self.path,
                hint="Use --resume to resume it, or --overwrite to restart the training.",
            )
        for old in (
            self.checkpoint,
            self._log,
            self._findings,
            *(self.path / "tensorboard").glob("events.*"),
        ):
            old.unlink(missing_ok=True)
        check_output(self._identity, overwrite=True)
