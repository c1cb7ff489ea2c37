"""Other formats that are called images."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping

import numpy as np
from tests.hostile_images.case import Case
from tests.hostile_images.contents import GREY, VRT
from tests.hostile_images.encoders import picture, ramp_jpeg
from tests.hostile_images.jpegs import COMMENTS
from tests.hostile_images.pngs import png
from tests.hostile_images.tiff_writing import strips, tiff


def disguises() -> Iterator[Case]:
    texts = {
        "nothing": b"",
        "one byte": b"I",
        "two bytes": b"II",
        "spaces": b" " * 5000,
        "zeros": bytes(5000),
        "a VRT": VRT.encode(),
        "a VRT behind a space": b" " + VRT.encode(),
        "a VRT of a server": VRT.replace("/etc/passwd", "/vsicurl/http://127.0.0.1:9/a.tif").encode(),
        "a VRT that computes": b'<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand subClass="VRTDerivedRasterBand">'
        b"<PixelFunctionLanguage>Python</PixelFunctionLanguage></VRTRasterBand></VRTDataset>",
        "a tile index": b"<GDALTileIndexDataset><IndexDataset>/etc/passwd</IndexDataset></GDALTileIndexDataset>",
        "a tile service": COMMENTS["a tile service"],
        "GML": b'<?xml version="1.0"?><gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml"/>',
        "XML with an entity": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "KML": b'<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><GroundOverlay/></kml>',
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "HTML": b"<!DOCTYPE html><script>alert(1)</script>",
        "JSON": json.dumps({"type": "FeatureCollection", "features": []}).encode(),
        "a STAC item": json.dumps({"type": "Feature", "stac_version": "1.0.0", "assets": {}}).encode(),
        "PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "PostScript": b"%!PS-Adobe-3.0\n(/etc/passwd) (r) file\n",
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(500),
        "netCDF": b"CDF\1" + bytes(500),
        "netCDF 5": b"CDF\5" + bytes(500),
        "GRIB": b"GRIB\0\0\0\2" + bytes(500),
        "NITF": b"NITF02.10" + b"0" * 500,
        "GIF": picture(np.zeros((9, 9), np.uint8), "GIF"),
        "BMP": picture(np.zeros((9, 9), np.uint8), "BMP"),
        "WebP": picture(np.zeros((9, 9, 3), np.uint8), "WEBP"),
        "PPM": b"P6\n9 9\n255\n" + bytes(243),
        "XPM": b"/* XPM */\nstatic char *a[] = {",
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
        "FITS": b"SIMPLE  =                    T" + b" " * 3000,
        "MRF": b"<MRF_META><Raster><Size x='9' y='9'/></Raster><CachedSource><Source>/etc/passwd</Source></CachedSource></MRF_META>",
        "ASCII grid": b"ncols 2\nnrows 2\nxllcorner 0\nyllcorner 0\ncellsize 1\n1 2\n3 4\n",
        "XYZ": b"0 0 1\n1 0 2\n0 1 3\n1 1 4\n",
        "ENVI": b"ENVI\nsamples = 9\nlines = 9\n",
        "gzip": b"\x1f\x8b\x08\0" + bytes(60),
        "tar": b"../../etc/passwd".ljust(257, b"\0") + b"ustar\x0000" + bytes(300),
        "a pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix\x94.",
        "an executable": b"\x7fELF\2\1\1" + bytes(100),
        "a script": b"#!/bin/sh\ntouch /tmp/it-ran\n",
        "a path": b"/vsicurl/http://127.0.0.1:9/a.tif\n",
        "zip": _zip({"a.tif": tiff(strips(), GREY)}),
        "zip that slips": _zip({"../../../tmp/it-slipped": b"x", "/etc/it-slipped": b"x"}),
        "SQLite": _database(0, "create table a (b)"),
        "GeoPackage": _database(0x47504B47, "create table gpkg_contents (table_name, data_type)"),
        "MBTiles": _database(
            0, "create table metadata (name, value)", "create table tiles (zoom_level, tile_data)"
        ),
        "a PNG behind a space": b" " + png(),
        "a PNG with line ends of Unix": png().replace(b"\r\n", b"\n", 1),
        "a JPEG without its first byte": ramp_jpeg()[1:],
    }
    for name, data in texts.items():
        yield f"disguise: {name}", data, False


def _zip(files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


def _database(application: int, *statements: str) -> bytes:
    with sqlite3.connect(":memory:") as base:
        base.execute(f"pragma application_id = {application}")
        for statement in statements:
            base.execute(statement)
    data = base.serialize()
    base.close()
    return data
