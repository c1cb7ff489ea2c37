"""Write the content of a report as one self-contained HTML page."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from geoseg.geodata.outputs.file_kinds import MADE_BY
from geoseg.geodata.reading.crs import crs_name
from geoseg.pictures.class_png import class_png
from geoseg.pictures.reliability import reliability_figure
from geoseg.settings import TrainSettings
from geoseg.workflows.html_pages import PAGE_STYLE, embedded_png, html_picture, html_table
from geoseg.workflows.report.content import ReportContent

_SCORES = (("users", "user's %"), ("producers", "producer's %"), ("f1", "F1 %"))


def report_page(content: ReportContent) -> str:
    """Return the page."""
    return "\n".join(_page(content))


def _page(content: ReportContent) -> Iterator[str]:
    from geoseg import __version__

    title = escape(f"{content.settings.class_map.name}, mapped by {content.settings.model.name}")
    yield "<!DOCTYPE html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="{MADE_BY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{PAGE_STYLE}</style></head><body><h1>{title}</h1>"
    yield from _remarks(content.warnings)
    for heading, section in (
        ("Map", _map),
        ("Accuracy and areas", _accuracy),
        ("Points", _points),
        ("Rasters", _rasters),
        ("Method", _method),
        ("Confidence", _confidence),
        ("Applicability", _applicability),
        ("Versions, hashes and commands", _provenance),
    ):
        yield f"<h2>{heading}</h2>"
        yield from section(content)
    yield f"<footer>{MADE_BY} {escape(__version__)}</footer></body></html>\n"


def _map(content: ReportContent) -> Iterator[str]:
    found, legend = content.class_map, content.record.legend
    yield embedded_png(class_png(found.picture, legend), "Class map in the colours of the legend")
    rows = []
    colors = {one.id: one.color for one in legend.classes}
    for one in found.areas.to_records(legend):
        hectares = "-" if one["hectares"] is None else f"{one['hectares']:,.2f}"
        share = "" if one["share"] is None else f"{100 * one['share']:.1f}"
        rows.append([one["name"], f"{one['pixels']:,}", hectares, share])
    yield html_table(["class", "pixels", "mapped ha", "% of the mapped area"], rows)
    swatches = "".join(
        f'<span style="background:{colors[one.id]};display:inline-block;width:1em;height:1em;margin:0 .3em 0 1em">'
        f"</span>{escape(one.name)}"
        for one in legend.classes
    )
    yield f"<p>Legend:{swatches}</p>"
    yield "<p>Mapped areas are counts of pixels. They carry the errors of the map; estimated areas correct them.</p>"


def _accuracy(content: ReportContent) -> Iterator[str]:
    estimate, check = content.documents.get("estimate"), content.documents.get("check")
    if estimate is not None:
        yield "<h3>Estimated from a probability sample</h3>"
        yield f"<p>Overall accuracy {_with_half_width(estimate['overall'], 100)} % (95 % interval).</p>"
        names = list(estimate["users"])
        areas = estimate.get("area_ha") or {}
        yield html_table(
            ["class", "user's %", "producer's %", "area ha"],
            [
                [
                    name,
                    _with_half_width(estimate["users"][name], 100),
                    _with_half_width(estimate["producers"][name], 100),
                    _with_half_width(areas.get(name), 1),
                ]
                for name in names
            ],
        )
    if check is not None:
        yield "<h3>At check points or masks</h3>"
        if check.get("statement"):
            yield f"<p>{escape(check['statement'])}</p>"
        yield f"<p>Overall accuracy {_percent(check.get('overall_accuracy'))} %, mean IoU {_percent(check['miou'])} %.</p>"
        yield from _remarks(check.get("notes", ()))
    yield "<h3>Validation by place at the end of the training</h3>"
    yield from _validation(content.record.training.get("validation") or {})
    if estimate is None and check is None:
        yield (
            "<p>No independent accuracy was given. Draw a sample of the map (geoseg assess design), or use check points in "
            "other places.</p>"
        )


def _validation(validation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<p>{escape(validation.get('statement', 'Not known.'))}</p>"
    scores = validation.get("at_points")
    if scores is None:
        return
    counts = validation["points_by_class"]
    yield html_table(
        ["class", "points", *(title for _, title in _SCORES)],
        [
            [name, f"{count:,}", *(_with_interval(scores[key][name]) for key, _ in _SCORES)]
            for name, count in counts.items()
        ],
    )
    yield "<h4>Confusion matrix at the points, reference in rows</h4>"
    rows = [
        [name, *(f"{cell:g}" for cell in cells)]
        for name, cells in zip(counts, scores["confusion"], strict=True)
    ]
    yield html_table(["reference", *counts], rows)


def _points(content: ReportContent) -> Iterator[str]:
    training = content.record.training
    by_class = training.get("points_by_class", {})
    rows = [[name, f"{count:,}"] for name, count in by_class.items()]
    yield html_table(["class", "points"], [*rows, ["all", f"{training.get('points_total', 0):,}"]])
    audit = content.documents.get("audit")
    if audit is None:
        yield "<p>No audit was given (geoseg points audit --json).</p>"
        return
    used, dropped = audit["used"]["total"], audit["dropped"]
    yield f"<p>Audit: {used:,} of {audit['total']:,} points can be used.</p>"
    if dropped["by_reason"]:
        reasons = [[reason, f"{count:,}"] for reason, count in dropped["by_reason"].items()]
        yield html_table(["dropped", "points"], reasons)
    suspicious = audit.get("suspicious_labels")
    if suspicious is not None:
        yield (
            f"<p>Suspicious labels: {suspicious['suspicious']:,} of {suspicious['checked']:,} checked points contradict the "
            "prediction from their features.</p>"
        )
    yield from _remarks(audit.get("warnings", ()))


def _rasters(content: ReportContent) -> Iterator[str]:
    record, info = content.record, content.class_map.info
    images = record.training.get("points_by_image", {})
    rows = [[name, f"{count:,}"] for name, count in images.items()]
    yield html_table(["training raster", "points"], rows)
    resolution = "not known" if record.resolution_m is None else f"{record.resolution_m:.4g} m"
    yield html_table(
        ["property", "value"],
        [
            ["bands", ", ".join(map(str, record.bands))],
            ["data type", record.dtype],
            ["ground resolution in training", resolution],
            ["size of the map", f"{info.height:,} x {info.width:,} px"],
            ["CRS of the map", crs_name(info.crs)],
        ],
    )


def _method(content: ReportContent) -> Iterator[str]:
    record = content.record
    architecture, training = record.architecture, record.training
    rows = [["recipe", record.recipe], ["head", architecture.head]]
    if architecture.head not in ("forest",):
        rows.append(["backbone", architecture.backbone])
        rows.append(["scales", ", ".join(map(str, architecture.scales))])
    rows += [
        ["classes", ", ".join(record.legend.names)],
        ["computed in", str(training.get("computed_in", "not known"))],
        ["seconds", str(training.get("seconds", "not known"))],
        ["random seed", str(training.get("settings", {}).get("seed", "not known"))],
        ["class proportions", str(training.get("prior", {}).get("source", "not known"))],
    ]
    yield html_table(["part", "value"], rows)


def _confidence(content: ReportContent) -> Iterator[str]:
    validation = content.record.training.get("validation") or {}
    reliability, calibration = validation.get("reliability"), content.record.calibration
    yield f"<p>Temperature {calibration.temperature:.3g}, chosen at the validation points.</p>"
    if reliability is None:
        yield "<p>No point was held out, so the confidence is not calibrated.</p>"
        return
    error = reliability["expected_calibration_error"]
    yield f"<p>Expected calibration error at the validation points: {100 * error:.1f} %.</p>"
    yield html_picture(reliability_figure(reliability["bins"]), "Reliability diagram: accuracy by confidence")
    conformal = validation["conformal"]
    yield f"<p>Conformal sets of {conformal['coverage']:.0%}: a class is in the set of a pixel from this probability on.</p>"
    rows = [[name, f"{threshold:.3f}"] for name, threshold in conformal["thresholds"].items()]
    yield html_table(["class", "probability"], rows)


def _applicability(content: ReportContent) -> Iterator[str]:
    record = content.record
    rows = [
        [str(band), f"{values.range_text}"] for band, values in zip(record.bands, record.values, strict=False)
    ]
    yield "<p>Pixel values of the training rasters. The map is uncertain where a raster has other values.</p>"
    yield html_table(["band", "range"], rows)
    if content.differences is None:
        yield "<p>The raster of the map was not given (--raster), so its values were not compared.</p>"
    elif not content.differences:
        yield "<p>The raster of the map has values in the range of the training.</p>"
    else:
        yield from _remarks(content.differences)


def _provenance(content: ReportContent) -> Iterator[str]:
    training = content.record.training
    versions = training.get("versions", {})
    yield html_table(["package", "version"], [[name, str(value)] for name, value in versions.items()])
    hashes = {**content.hashes, "training points": training.get("points_sha256", "not known")}
    yield html_table(["SHA-256 of", ""], [[name, value] for name, value in hashes.items()])
    raster = content.settings.raster or "RASTER.tif"
    commands = [
        _train_command(training.get("settings", {})),
        shlex.join(
            [
                "geoseg",
                "predict",
                content.settings.model.name,
                str(raster),
                "-o",
                content.settings.class_map.name,
            ]
        ),
    ]
    yield "<pre>" + escape("\n".join(commands)) + "</pre>"
    yield "<p>Options of the prediction other than these are not recorded in the map.</p>"


def _train_command(settings: Mapping[str, Any]) -> str:
    """Return the command of the training: the settings that differ from their defaults."""
    words = ["geoseg", "train", str(settings.get("data", "RASTER.tif"))]
    for name, field in TrainSettings.model_fields.items():
        value = settings.get(name)
        default = field.get_default(call_default_factory=True)
        if (
            name in ("data", "output")
            or value is None
            or value == json.loads(json.dumps(default, default=str))
        ):
            continue
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            words += [flag, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return shlex.join([*words, "-o", str(settings.get("output", "model.geoseg"))])


def _remarks(texts: Any) -> Iterator[str]:
    if texts:
        yield "<ul>" + "".join(f"<li>{escape(str(text))}</li>" for text in texts) + "</ul>"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _with_interval(score: Mapping[str, Any]) -> str:
    interval = score["interval"]
    bounds = "" if interval is None else f" ({100 * interval[0]:.0f} to {100 * interval[1]:.0f})"
    return _percent(score["estimate"]) + bounds


def _with_half_width(score: Mapping[str, Any] | None, factor: float) -> str:
    if score is None or score["estimate"] is None:
        return "-"
    half = score["half_width"]
    value = f"{factor * score['estimate']:,.1f}"
    return value if half is None else f"{value} ± {factor * half:,.1f}"
