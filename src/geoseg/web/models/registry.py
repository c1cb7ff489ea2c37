"""The shelf: the models of a process, kept in memory, and kept up with their files."""

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

LOG = logging.getLogger("geoseg.models")
LOOK_EVERY_S = 1.0
AGAIN_AFTER_S = 60.0
_Stamp = tuple[int, int, int]


@dataclass
class _Place:
    """A model in memory, and who uses it."""

    live: LoadedModel
    stamp: _Stamp
    users: int = 0
    is_retired: bool = False


@dataclass(frozen=True)
class RegisteredModel:
    """What is known of a model: its name, the model if it is in memory, and what is wrong with its file."""

    name: str
    live: LoadedModel | None
    is_file_bad: bool


@dataclass
class _Files:
    """What was seen of the files: by name, the paths, and the stamps of those that could not be loaded."""

    paths: dict[str, Path] = field(default_factory=dict)
    bad: dict[str, _Stamp] = field(default_factory=dict)


class ModelRegistry:
    """Models by name; a file that changes is loaded beside the old model, which then goes when nobody uses it.

    A file that cannot be loaded leaves what is in memory as it is.

    Args:
        settings: Which models.
        load: Reads a model into memory.
    """

    def __init__(self, settings: ServeSettings, load: Callable[[Path], LoadedModel]) -> None:
        self._settings, self._load = settings, load
        self._places = dict[str, _Place]()
        self._files = _Files(find_models(settings))
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._told, self._again_at = "", inf
        self._thread = threading.Thread(target=self._keep_up, name="shelf", daemon=True)

    def start(self) -> None:
        """Load all models, and keep up with their files, in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Stop keeping up, and let go of all models."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        for name in list(self._places):
            self._retire(name)

    @property
    def is_ready(self) -> bool:
        """Whether a model has answered."""
        return bool(self._places)

    def names(self) -> list[str]:
        """Return the models' names, the default first."""
        with self._lock:
            return list(self._files.paths)

    def look(self, name: str) -> RegisteredModel:
        """Return what is known of a model.

        Raises:
            Problem: There is none of that name.
        """
        with self._lock:
            if name not in self._files.paths:
                raise _no_model(name, list(self._files.paths))
            place = self._places.get(name)
            return RegisteredModel(name, place.live if place else None, name in self._files.bad)

    def check(self, name: str | None) -> None:
        """Make sure that there is a model of a name, and that it is in memory; None: the default.

        Raises:
            Problem: There is none, or it is not in memory yet.
        """
        with self.lease(name):
            pass

    @contextmanager
    def lease(self, name: str | None) -> Iterator[tuple[str, LoadedModel]]:
        """Yield a model's name and the model, which stays in memory until the block ends; None: the default.

        Raises:
            Problem: There is no such model, or it is not in memory yet.
        """
        with self._lock:
            place_name = self._name(name)
            place = self._places.get(place_name)
            if place is None:
                is_bad = place_name in self._files.bad
                why = "cannot be loaded; the log of the service says why" if is_bad else "is being loaded"
                raise Problem(NOT_READY, f"The model {place_name} {why}.", headers={"Retry-After": "5"})
            place.users += 1
        try:
            yield place_name, place.live
        finally:
            with self._lock:
                place.users -= 1
                is_last = place.is_retired and place.users == 0
            if is_last:
                place.live.close()

    def name_of(self, name: str | None) -> str:
        """Return the name of a model whose file can be read anew; None: the default's.

        Raises:
            Problem: There is none of that name, or its file is bad.
        """
        with self._lock:
            found = self._name(name)
            if found in self._files.bad:
                raise Problem(
                    NOT_READY, f"The file of the model {found} cannot be used.", headers={"Retry-After": "60"}
                )
            return found

    def _name(self, name: str | None) -> str:
        if name is None and self._files.paths:
            return next(iter(self._files.paths))
        if name is None or name not in self._files.paths:
            raise _no_model(name or "", list(self._files.paths))
        return name

    def _keep_up(self) -> None:
        self.look_at_files()
        while not self._stopped.wait(LOOK_EVERY_S):
            self.look_at_files()

    def look_at_files(self) -> None:
        """Load what is new or changed, and let go of what is gone."""
        try:
            paths = find_models(self._settings)
        except (GeoSegError, OSError) as error:
            if str(error) != self._told:
                LOG.warning("models cannot be listed", extra={"fault": str(error)})
            self._told = str(error)
            return
        with self._lock:
            self._files.paths = paths
            gone = [name for name in self._places if name not in paths]
        for name in gone:
            self._retire(name)
        for name, path in paths.items():
            if not self._stopped.is_set():
                self._load_if_changed(name, path)

    def _load_if_changed(self, name: str, path: Path) -> None:
        stamp, place = _stamp(path), self._places.get(name)
        is_known_bad = stamp == self._files.bad.get(name) and time.monotonic() < self._again_at
        if stamp is None or is_known_bad or (place and place.stamp == stamp):
            return
        try:
            live = self._load(path)
        except (GeoSegError, OSError, RuntimeError, MemoryError) as error:
            LOG.error("model not loaded", extra={"model": name, "fault": str(error)})
            with self._lock:
                self._files.bad[name] = stamp
            # What is no fault of the file may be over later.
            self._again_at = inf if isinstance(error, GeoSegError) else time.monotonic() + AGAIN_AFTER_S
            return
        self._retire(name, successor=_Place(live, stamp))
        LOG.info("model loaded", extra={"model": name, "sha256": live.sha256})

    def _retire(self, name: str, successor: _Place | None = None) -> None:
        with self._lock:
            place = self._places.pop(name, None)
            if successor is not None:
                self._places[name] = successor
            self._files.bad.pop(name, None)
            if place is not None:
                place.is_retired = True
            is_unused = place is not None and place.users == 0
        if is_unused and place is not None:
            place.live.close()
        if place is not None and successor is None:
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
            NO_MODEL, "The service has no model; its operator has to put one into its folder of models."
        )
    return Problem(NO_MODEL, f"There is no model {name!r}; there are: {', '.join(known)}.")
