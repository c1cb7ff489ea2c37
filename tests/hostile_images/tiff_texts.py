"""TIFFs whose metadata, nodata or description is odd."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile_images.case import Case
from tests.hostile_images.contents import GREY, VRT
from tests.hostile_images.tiff_writing import ASCII, strips, tiff


def _metadata(*items: tuple[str, str, str]) -> bytes:
    inner = "".join(f'<Item name="{name}" domain="{domain}">{text}</Item>' for name, domain, text in items)
    return f"<GDALMetadata>{inner}</GDALMetadata>\0".encode()


def odd_texts() -> Iterator[Case]:
    named = {"OVERVIEWS": "OVERVIEW_FILE", "overviews": "OVERVIEW_FILE", "ProxyOverviewRequest": "FILENAME"}
    for domain, name in named.items():
        for target in (
            "/etc/passwd",
            "/vsicurl/http://127.0.0.1:9/a.tif",
            "vrt:///etc/passwd",
            ":::BASE:::a.tif",
        ):
            text = _metadata((name, domain, target))
            yield f"tif whose {domain} are in {target}", tiff(strips(metadata=(ASCII, text)), GREY), False
    texts = {
        "that is no XML": b"<GDALMetadata><Item",
        "of 10,000 brackets": b"<a>" * 10_000,
        "that is not UTF-8": _metadata(("A", "", "x")).replace(b">x<", b">\xff\xfe<"),
        "with entities": b'<!DOCTYPE a [<!ENTITY b "'
        + b"c" * 1000
        + b'">]>'
        + b"<a>"
        + b"&b;" * 1000
        + b"</a>\0",
        "that is a VRT": VRT.encode() + b"\0",
        "with a VRT": _metadata(("a", "xml:VRT", "&lt;VRTDataset/&gt;")),
        "with a georeference elsewhere": _metadata(("X_DATASET", "GEOLOCATION", "/etc/passwd")),
        "with an orientation of 2^9": _metadata(("EXIF_Orientation", "", "512")),
        "with an orientation in superscript": _metadata(("EXIF_Orientation", "", "²")),
        "with an orientation of 5,000 digits": _metadata(("EXIF_Orientation", "", "9" * 5000)),
        "with an orientation": _metadata(("EXIF_Orientation", "", "6")),
        "of 5,000 items": _metadata(*[(f"A{n}", "", "") for n in range(5000)]),
    }
    for name, text in texts.items():
        yield f"tif with metadata {name}", tiff(strips(metadata=(ASCII, text)), GREY), True
    for name, text in {
        "8 MB": _metadata(("A", "", "x" * 2**23)),
        "300,000 items": _metadata(*[(f"A{n}", "", "x") for n in range(300_000)]),
    }.items():
        yield f"tif with metadata of {name}", tiff(strips(metadata=(ASCII, text)), GREY), False
    for name, text in {
        "words": b"none\0",
        "NaN": b"nan\0",
        "1e400": b"1e400\0",
        "nothing": b"\0",
        "bytes": b"\xff\xfe\0",
        "20 digits": b"9" * 20 + b"\0",
        "a million digits": b"9" * 10**6 + b"\0",
        "-1": b"-1\0",
    }.items():
        yield f"tif with nodata of {name}", tiff(strips(nodata=(ASCII, text)), GREY), True
    for name, text in {"a VRT": VRT.encode(), "Latin-1": b"K\xf6ln\0", "no end": b"x" * 300}.items():
        yield f"tif described by {name}", tiff(strips(description=(ASCII, text)), GREY), True
