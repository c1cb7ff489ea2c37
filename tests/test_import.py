"""Importing the library changes nothing in the process of who uses it; the command sets its own options."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

OPTIONS = ("THP_MEM_ALLOC_ENABLE", "MALLOC_ARENA_MAX", "GDAL_CACHEMAX", "GDAL_HTTP_MAX_RETRY")

# Tells which module of this package changes the environment, or calls the C library to change the allocator.
IMPORT_ALL = """
import importlib, pkgutil, sys
changes = []
def watch(event, arguments):
    if event not in ("os.putenv", "os.unsetenv", "ctypes.dlsym"):
        return
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in ("os", "_collections_abc", "ctypes"):
        frame = frame.f_back
    if frame is not None and frame.f_globals.get("__name__", "").startswith("geoseg"):
        changes.append((frame.f_globals["__name__"], event, str(arguments[-1])))
sys.addaudithook(watch)
import geoseg
for module in pkgutil.walk_packages(geoseg.__path__, "geoseg."):
    if module.name != "geoseg.__main__":
        importlib.import_module(module.name)
for name in geoseg.__all__:
    getattr(geoseg, name)
from geoseg.inference.memory import MemoryTrimmer
MemoryTrimmer().trim_on_new_shape((1, 2, 3))
print([change for change in changes if change[2] != "malloc_trim"])
from rasterio._env import get_gdal_config
names = "PNG_WHOLE_IMAGE_OPTIM", "HTTP_MAX_RETRY", "HTTP_RETRY_DELAY", "DISABLE_READDIR_ON_OPEN", "PAM_ENABLED"
print({name: get_gdal_config("GDAL_" + name) for name in names if get_gdal_config("GDAL_" + name) is not None})
"""


def without_options() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("GDAL", "MALLOC", "THP"))
    }


def run(code: str, **environment: str) -> list[str]:
    command = [sys.executable, "-W", "ignore", "-c", code]
    own = {**without_options(), **environment}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=own).stdout.splitlines()


@pytest.mark.slow
def test_importing_every_module_changes_neither_the_environment_nor_gdal_nor_the_allocator():
    assert run(IMPORT_ALL) == ["[]", "{}"]


COMMAND = f"""
import os, sys
from geoseg.__main__ import main
sys.argv = ["geoseg", "--version"]
try:
    main()
except SystemExit:
    print([os.environ.get(name) for name in {OPTIONS}])
"""


def test_the_command_sets_options_that_are_not_set():
    assert run(COMMAND)[-1] == "['1', '2', '128', '3']"
    assert run(COMMAND, GDAL_CACHEMAX="512", MALLOC_ARENA_MAX="4")[-1] == "['1', '4', '512', '3']"
