"""A map with errors, and an interpreter who knows the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio

from geoseg.geodata.points.point_files import write_point_layer
from geoseg.geodata.reading.opening import ignore_missing_georeference

NAMES = ("field", "wood", "water")


def truth():
    ids = np.zeros((80, 120), np.uint8)
    ids[:, 60:] = 1
    ids[50:, 20:100] = 2
    return ids


def mapped():
    ids = np.roll(truth(), 4, axis=1)
    ids[:10, :30] = 255
    return ids


@dataclass(frozen=True)
class Interpreter:
    """Labels a sample with the truth, but for what is asked."""

    folder: Path

    def label(self, sample, name="labelled.gpkg", *, column="reference", change=lambda table: table):
        """Write a labelled copy of a sample; ``change`` may edit the table of points."""
        units = pyogrio.read_dataframe(sample, layer="units")
        table = pyogrio.read_dataframe(sample, layer="sample")
        table["reference"] = [NAMES[k] for k in truth()[units["row"], units["col"]]]
        if column != "reference":
            table = table.rename(columns={"reference": column})
        path = self.folder / name
        path.write_bytes(Path(sample).read_bytes())
        write_point_layer(path, change(table), "sample")
        return path


@pytest.fixture
def interpreter(tmp_path):
    return Interpreter(tmp_path)


@pytest.fixture
def finished_map(write_tiff, tmp_path):
    """Write a class map of three classes; options as for ``write_tiff``, ``values`` for other pixels."""

    def write(name="map.tif", values=None, names=NAMES, **options):
        path = write_tiff(
            tmp_path / name, mapped() if values is None else values, **{"nodata": 255, **options}
        )
        if names:
            with ignore_missing_georeference(), rasterio.open(path, "r+") as dataset:
                dataset.update_tags(CLASS_NAMES=json.dumps(dict(enumerate(names))))
        return path

    return write
