"""Model registry: models in memory, reloaded when their files change."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from geoseg.errors import GeoSegError
from geoseg.settings.serving import ServeSettings
from geoseg.web.http.problems import NO_MODEL, NOT_READY, Problem
from geoseg.web.models.model_paths import find_models
from geoseg.workflows.mapping.live import LoadedModel
from geoseg.workflows.service_files import most_bands

LOG = logging.getLogger("geoseg.models")
POLL_S = 1.0
RETRY_AFTER_S = 60.0
_Stamp = tuple[int, int, int]


@dataclass
class _LoadedEntry:
    """A model in memory, with the number of requests that use it."""

    model: LoadedModel
    stamp: _Stamp
    users: int = 0
    is_retired: bool = False


@dataclass(frozen=True)
class RegisteredModel:
    """State of a model.

    Attributes:
        name: Name of the model.
        model: The model in memory; None before it is loaded.
        is_file_bad: Whether the current file cannot be loaded.
    """

    name: str
    model: LoadedModel | None
    is_file_bad: bool


@dataclass
class _FileState:
    """Model files by name: their paths, and the stamps of files that could not be loaded."""

    paths: dict[str, Path] = field(default_factory=dict)
    bad: dict[str, _Stamp] = field(default_factory=dict)


class ModelRegistry:
    """Models by name.

    When a file changes, the new model replaces the old one, which is unloaded after its last request. A file that
    cannot be loaded leaves the old model in use.

    Args:
        settings: How models are served.
        load: Loads a model file into memory.
    """

    def __init__(self, settings: ServeSettings, load: Callable[[Path], LoadedModel]) -> None:
        self._settings, self._load = settings, load
        self._loaded = dict[str, _LoadedEntry]()
        self._files = _FileState(find_models(settings))
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._last_error, self._retry_at = "", inf
        self._thread = threading.Thread(target=self._watch_files, name="model registry", daemon=True)

    def start(self) -> None:
        """Start the thread that loads the models and watches their files."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and unload all models."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        for name in list(self._loaded):
            self._retire(name)

    @property
    def is_ready(self) -> bool:
        """Whether at least one model is loaded."""
        return bool(self._loaded)

    def names(self) -> list[str]:
        """Return the names of the models, the default first."""
        with self._lock:
            return list(self._files.paths)

    def get(self, name: str) -> RegisteredModel:
        """Return the state of a model.

        Raises:
            Problem: There is no model with this name.
        """
        with self._lock:
            if name not in self._files.paths:
                raise _no_model(name, list(self._files.paths))
            entry = self._loaded.get(name)
            return RegisteredModel(name, entry.model if entry else None, name in self._files.bad)

    def check(self, name: str | None) -> None:
        """Check that a model is loaded.

        Args:
            name: Name of the model; None: the default.

        Raises:
            Problem: There is no such model, or it is not loaded.
        """
        with self.lease(name):
            pass

    @contextmanager
    def lease(self, name: str | None) -> Iterator[tuple[str, LoadedModel]]:
        """Yield the name of a model and the model, which stays in memory until the block ends.

        Args:
            name: Name of the model; None: the default.

        Raises:
            Problem: There is no such model, or it is not loaded.
        """
        with self._lock:
            found_name = self._name(name)
            entry = self._loaded.get(found_name)
            if entry is None:
                is_bad = found_name in self._files.bad
                why = (
                    "cannot be loaded; the log of the service has the cause" if is_bad else "is being loaded"
                )
                raise Problem(NOT_READY, f"The model {found_name} {why}.", headers={"Retry-After": "5"})
            entry.users += 1
        try:
            yield found_name, entry.model
        finally:
            with self._lock:
                entry.users -= 1
                is_last = entry.is_retired and entry.users == 0
            if is_last:
                entry.model.close()

    def usable_name(self, name: str | None) -> str:
        """Return the name of a model whose current file can be loaded.

        Args:
            name: Name of the model; None: the default.

        Raises:
            Problem: There is no such model, or its file cannot be loaded.
        """
        with self._lock:
            found = self._name(name)
            if found in self._files.bad:
                raise Problem(
                    NOT_READY, f"The file of the model {found} cannot be used.", headers={"Retry-After": "60"}
                )
            return found

    def most_bands(self, name: str | None, limit: int) -> int:
        """Return the largest number of bands of an image for a model; the limit while it is not loaded.

        Args:
            name: Name of the model; None: the default.
            limit: The limit for models of images.

        Raises:
            Problem: There is no such model.
        """
        with self._lock:
            entry = self._loaded.get(self._name(name))
        return limit if entry is None else most_bands(entry.model.record, limit)

    def _name(self, name: str | None) -> str:
        if name is None and self._files.paths:
            return next(iter(self._files.paths))
        if name is None or name not in self._files.paths:
            raise _no_model(name or "", list(self._files.paths))
        return name

    def _watch_files(self) -> None:
        self.refresh()
        while not self._stopped.wait(POLL_S):
            self.refresh()

    def refresh(self) -> None:
        """Load new and changed model files, and unload models whose files are gone."""
        try:
            paths = find_models(self._settings)
        except (GeoSegError, OSError) as error:
            if str(error) != self._last_error:
                LOG.warning("models cannot be listed", extra={"fault": str(error)})
            self._last_error = str(error)
            return
        with self._lock:
            self._files.paths = paths
            gone = [name for name in self._loaded if name not in paths]
        for name in gone:
            self._retire(name)
        for name, path in paths.items():
            if not self._stopped.is_set():
                self._load_if_changed(name, path)

    def _load_if_changed(self, name: str, path: Path) -> None:
        stamp, entry = _stamp(path), self._loaded.get(name)
        is_known_bad = stamp == self._files.bad.get(name) and time.monotonic() < self._retry_at
        if stamp is None or is_known_bad or (entry and entry.stamp == stamp):
            return
        try:
            model = self._load(path)
        except (GeoSegError, OSError, RuntimeError, MemoryError) as error:
            LOG.error("model not loaded", extra={"model": name, "fault": str(error)})
            with self._lock:
                self._files.bad[name] = stamp
            # Other errors, such as too little memory, may be temporary.
            self._retry_at = inf if isinstance(error, GeoSegError) else time.monotonic() + RETRY_AFTER_S
            return
        self._retire(name, successor=_LoadedEntry(model, stamp))
        LOG.info("model loaded", extra={"model": name, "sha256": model.sha256})

    def _retire(self, name: str, successor: _LoadedEntry | None = None) -> None:
        with self._lock:
            entry = self._loaded.pop(name, None)
            if successor is not None:
                self._loaded[name] = successor
            self._files.bad.pop(name, None)
            if entry is not None:
                entry.is_retired = True
            is_unused = entry is not None and entry.users == 0
        if is_unused and entry is not None:
            entry.model.close()
        if entry is not None and successor is None:
            LOG.info("model unloaded", extra={"model": name})


def _stamp(path: Path) -> _Stamp | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def _no_model(name: str, known: list[str]) -> Problem:
    if not known:
        return Problem(
            NO_MODEL, "The service has no model. Its operator has to put a model file into the model folder."
        )
    return Problem(NO_MODEL, f"There is no model {name!r}. Available models: {', '.join(known)}.")
