"""TIFFs whose place on Earth is odd."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tests.hostile_images.case import Case
from tests.hostile_images.contents import GREY
from tests.hostile_images.tiff_writing import (
    DOUBLE,
    GEO_DOUBLES,
    GEO_KEYS,
    MATRIX,
    SCALE,
    SHORT,
    TIEPOINT,
    georeferenced,
    strips,
    tiff,
)

_DOUBLES = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "0": 0.0, "huge": 1e308, "tiny": 5e-324}


def odd_places() -> Iterator[Case]:
    for name, value in _DOUBLES.items():
        tags = georeferenced(scale=value)
        yield f"tif with pixels of {name} m", tiff(tags, GREY), True
        corner = georeferenced() | {TIEPOINT: (DOUBLE, (0, 0, 0, value, value, 0))}
        yield f"tif at {name}, {name}", tiff(corner, GREY), True
        matrix = georeferenced() | {MATRIX: (DOUBLE, [value] * 16)}
        del matrix[SCALE], matrix[TIEPOINT]
        yield f"tif with a matrix of {name}", tiff(matrix, GREY), True
    for epsg in (0, 1, 4326, 4978, 5773, 3857, 3413, 32767, 65535, 2193):
        yield f"tif in EPSG {epsg}", tiff(georeferenced(epsg=epsg), GREY), True
    degrees = (
        'GEOGCS["x",DATUM["d",SPHEROID["s",6378137,298]],PRIMEM["G",0],UNIT["degree",0.0174532925199433]'
    )
    for name, wkt in {
        "a grid file": f'{degrees},EXTENSION["PROJ4","+proj=longlat +ellps=GRS80 +nadgrids=/etc/passwd +no_defs"]]',
        "no end": degrees,
        "a unit of 0": degrees.replace("0.0174532925199433", "0") + "]",
        "a sphere of size 0": degrees.replace("6378137", "0") + "]",
        "9,000 brackets": "GEOGCS[" * 9000,
        "a place on the screen": 'LOCAL_CS["x",UNIT["metre",1]]',
        "the Moon": degrees.replace("6378137", "1737400") + "]",
    }.items():
        text = f"ESRI PE String = {wkt}|".encode()
        yield f"tif whose CRS has {name}", tiff(georeferenced(text, epsg=32767), GREY), True
    keys = {
        "none": (1, 1, 0, 0),
        "65,535 of them": (1, 1, 0, 65535),
        "keys past the end": (1, 1, 0, 1, 3072, GEO_DOUBLES, 9, 9),
    }
    for name, values in keys.items():
        yield f"tif with geo keys: {name}", tiff(georeferenced() | {GEO_KEYS: (SHORT, values)}, GREY), True
    yield "tif with an RPC of NaN", tiff(strips(rpc=(DOUBLE, [math.nan] * 92)), GREY), True
