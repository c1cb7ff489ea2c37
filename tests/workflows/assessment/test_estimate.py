"""Estimates from labelled samples and matrices: what counts, what is missing, and what is refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyogrio
import pytest
import rasterio

from geoseg.domain.points import make_points
from geoseg.errors import GeoSegWarning, LegendError, OutputError, PointsError, SettingsError
from geoseg.geodata.outputs.class_maps import origin_tags
from geoseg.geodata.points.training_places import places_of
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.settings import AssessDesignSettings, AssessEstimateSettings
from geoseg.workflows.assessment.design import assess_design
from geoseg.workflows.assessment.estimate import assess_estimate

# Of the 9,300 mapped pixels, by hand: the truth lies four columns west of the map.
TRUE_OVERALL = 1 - (4 * 40 + 4 * 50 + 8 * 30 + 4 * 30) / 9300


@pytest.fixture
def draw(finished_map, tmp_path):
    def run(class_map=None, **options):
        settings = AssessDesignSettings(
            class_map=class_map or finished_map(),
            output=tmp_path / "sample.gpkg",
            overwrite=True,
            **{"size": 300, **options},
        )
        return assess_design(settings).output

    return run


def estimate(sample=None, **options):
    return assess_estimate(AssessEstimateSettings(sample=sample, **options))


def record_of(found):
    record = found.to_record()
    json.dumps(record, allow_nan=False)
    return record


def covers(entry, truth):
    return abs(entry["estimate"] - truth) <= entry["half_width"]


@pytest.mark.parametrize("design", ["stratified", "simple", "systematic", "cluster"])
def test_every_design_estimates_accuracy_and_areas(draw, interpreter, design):
    record = record_of(estimate(interpreter.label(draw(design=design, seed=4))))

    assert record["design"] == design
    # The errors lie in lines, which a grid meets more or less often: intervals hold for the other designs.
    assert record["overall"]["estimate"] == pytest.approx(TRUE_OVERALL, abs=0.05)
    assert design == "systematic" or covers(record["overall"], TRUE_OVERALL)
    # The true areas of the mapped part: 300 pixels of field are nodata.
    areas = record["area_ha"]
    assert sum(area["estimate"] for area in areas.values()) == pytest.approx(0.93)
    for name, pixels in (("field", 3300), ("wood", 3600), ("water", 2400)):
        is_near = areas[name]["estimate"] == pytest.approx(pixels / 10_000, abs=0.03)
        assert is_near if design == "systematic" else covers(areas[name], pixels / 10_000)
    matrix = np.array(record["error_matrix"]["area_proportions"])
    assert matrix.sum() == pytest.approx(1)
    assert np.trace(matrix) == pytest.approx(record["overall"]["estimate"])


def test_a_census_is_exact_and_has_no_interval_left(draw, interpreter):
    record = record_of(estimate(interpreter.label(draw(size=9300))))

    assert record["overall"] == {"estimate": pytest.approx(TRUE_OVERALL), "half_width": 0.0}
    assert record["area_ha"]["wood"]["estimate"] == pytest.approx(0.36)


def test_post_stratification_narrows_the_areas_of_a_simple_sample(draw, interpreter):
    labelled = interpreter.label(draw(design="simple"))

    with_areas, without = (estimate(labelled, post_stratify=choice).to_record() for choice in (True, False))

    for name in ("field", "wood", "water"):
        assert with_areas["area_ha"][name]["half_width"] < without["area_ha"][name]["half_width"]
    counts = np.array(without["error_matrix"]["counts"])
    assert without["overall"]["estimate"] == pytest.approx(np.trace(counts) / counts.sum())


def test_missing_labels_are_counted_and_bound_the_accuracy(draw, interpreter):
    def lose(table):
        table.loc[table.index % 5 == 0, "reference"] = "  "
        return table[table.index % 7 > 0]

    found = estimate(interpreter.label(draw(), change=lose))

    record = record_of(found)
    answers = record["sample"]
    missing = sum(k % 5 == 0 or k % 7 == 0 for k in range(300))
    assert (answers["drawn"], answers["missing"]) == (300, missing)
    assert sum(answers["missing_by_stratum"].values()) == missing
    bounds = answers["overall_if_missing_are"]
    assert bounds["wrong"] < record["overall"]["estimate"] < bounds["right"]
    assert f"{missing} of 300 points have no label" in record["notes"][0]


def test_unsure_labels_count_and_are_left_out_of_a_second_estimate(draw, interpreter):
    def doubt(table):
        wrong = table.index % 10 == 0
        table.loc[wrong, "reference"] = "water"
        return table.assign(unsure=wrong)

    record = record_of(estimate(interpreter.label(draw(), change=doubt)))

    assert record["sample"]["unsure"] == 30
    assert record["without_unsure"]["overall"]["estimate"] > record["overall"]["estimate"]
    assert set(record["without_unsure"]) == {"overall", "users", "producers", "area_ha"}


def test_two_interpreters_are_compared_at_the_points_of_both(draw, interpreter, tmp_path):
    sample = draw()
    first = interpreter.label(sample)
    table = pyogrio.read_dataframe(first, layer="sample", read_geometry=False)
    table.loc[table["id"].isin([3, 5]), "reference"] = "wood"
    changed = int((table["reference"] != pyogrio.read_dataframe(first, layer="sample")["reference"]).sum())
    table[table["id"] <= 200][["id", "reference"]].to_csv(tmp_path / "second.csv", index=False)

    second = record_of(estimate(first, second_interpreter=tmp_path / "second.csv"))["second_interpreter"]

    assert second["both"] == 200
    assert second["agree"] == 200 - changed
    assert set(second["disagreements"]) <= {3, 5}
    assert np.array(second["counts"]).sum() == 200
    assert second["overall"]["estimate"] > 0.8


def test_points_that_were_moved_are_named(draw, interpreter):
    def move(table):
        table.loc[table["id"] == 7, "geometry"] = table.geometry.translate(3, 0)
        return table

    with pytest.warns(GeoSegWarning, match=r"1 points were moved from their pixel \(id 7\)"):
        estimate(interpreter.label(draw(), change=move))


def test_class_names_are_compared_without_case_and_blanks(draw, interpreter):
    sample = draw()

    def respell(table):
        table["reference"] = " " + table["reference"].str.upper() + " "
        return table

    plain = estimate(interpreter.label(sample)).to_record()
    respelt = estimate(interpreter.label(sample, "respelt.gpkg", change=respell)).to_record()

    assert respelt["error_matrix"] == plain["error_matrix"]


def test_a_sample_assesses_another_map_of_the_area_with_its_own_strata(draw, interpreter, finished_map):
    labelled = interpreter.label(draw())
    better = np.zeros((80, 120), np.uint8)
    better[:, 60:], better[50:, 20:100] = 1, 2
    perfect = finished_map("better.tif", better)

    with pytest.warns(GeoSegWarning, match="The given map is assessed"):
        found = estimate(labelled, map=perfect)

    record = record_of(found)
    assert record["overall"] == {"estimate": 1.0, "half_width": 0.0}
    assert record["mapped_area_ha"] == {"field": None, "wood": None, "water": None}


def test_points_that_the_other_map_does_not_cover_are_errors(draw, interpreter, finished_map):
    labelled = interpreter.label(draw())

    with pytest.warns(GeoSegWarning):
        found = estimate(labelled, map=finished_map("half.tif", np.zeros((80, 60), np.uint8)))

    assert found.to_record()["sample"]["unmapped"] > 100
    assert found.to_record()["producers"]["wood"]["estimate"] == 0


def test_a_raster_of_strata_gives_estimates_for_classes_that_are_not_strata(
    draw, interpreter, write_tiff, tmp_path
):
    zones = np.zeros((80, 120), np.uint8)
    zones[40:] = 1
    labelled = interpreter.label(draw(strata=write_tiff(tmp_path / "zones.tif", zones)))

    record = record_of(estimate(labelled))

    assert covers(record["overall"], TRUE_OVERALL)
    assert covers(record["area_ha"]["water"], 0.24)
    assert record["users"]["water"]["half_width"] > 0


def test_points_that_trained_the_map_are_refused_unless_allowed(draw, interpreter, finished_map):
    path = finished_map()
    labelled = interpreter.label(draw(path))
    units = pyogrio.read_dataframe(labelled, layer="units").head(3)
    points = make_points("map", units["row"].to_numpy(float), units["col"].to_numpy(float), [0, 0, 0])
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**origin_tags({}, places_of(points, {"map": describe_raster(path)}, "0")))

    with pytest.raises(PointsError, match=r"used to train the map.*3 training points \(id 1, 2, 3\)"):
        estimate(labelled, map=path)
    allowed = estimate(labelled, map=path, allow_training_points=True)
    assert allowed.to_record()["overall"]["estimate"] > 0.8


def test_areas_need_the_size_of_a_pixel(draw, interpreter, finished_map):
    labelled = interpreter.label(draw(finished_map("plain.tif", crs=None)))

    unknown, known = estimate(labelled).to_record(), estimate(labelled, pixel_m2=100).to_record()

    assert set(unknown["area_ha"]["wood"].values()) == {None}
    assert unknown["area_share"]["wood"] == pytest.approx(known["area_share"]["wood"])
    assert sum(area["estimate"] for area in known["area_ha"].values()) == pytest.approx(93)


def test_a_stratum_without_labels_or_with_one_is_reported(draw, interpreter):
    sample = draw()
    water = pyogrio.read_dataframe(sample, layer="units").query("map_class == 'water'")["id"].tolist()

    def keep(count):
        def change(table):
            table.loc[table["id"].isin(water[count:]), "reference"] = None
            return table

        return change

    with pytest.raises(PointsError, match="nothing is known about the strata water"):
        estimate(interpreter.label(sample, change=keep(0)))
    record = record_of(estimate(interpreter.label(sample, "one.gpkg", change=keep(1))))
    assert record["overall"]["half_width"] is None
    assert record["users"]["field"]["half_width"] is not None
    assert any("Strata with a single label: water" in note for note in record["notes"])


def test_a_rare_class_of_a_simple_sample_joins_another_stratum(draw, interpreter, finished_map):
    values = np.zeros((80, 120), np.uint8)
    values[0, :3] = 2
    labelled = interpreter.label(draw(finished_map("rare.tif", values), design="simple", size=60))

    record = record_of(estimate(labelled))

    assert record["overall"]["half_width"] > 0
    assert record["users"]["water"] == {"estimate": None, "half_width": None}
    assert record["users"]["wood"] == {"estimate": None, "half_width": None}


def test_files_that_are_no_labelled_sample_are_refused(draw, interpreter, points, tmp_path):
    sample = draw()

    def refused(match, *, error=PointsError, path=None, change=None, **options):
        labelled = path or interpreter.label(sample, "bad.gpkg", change=change or (lambda table: table))
        with pytest.raises(error, match=match):
            estimate(labelled, **options)

    refused("no such file", path=tmp_path / "none.gpkg")
    refused("not a sample of geoseg assess design", path=points)
    refused("no point is labelled yet", path=sample)
    refused("no column 'klass'", reference_column="klass")
    refused(
        "not in the legend.*'woods'.*Did you mean 'wood'",
        error=LegendError,
        change=lambda t: t.replace("wood", "woods"),
    )
    refused("ids repeat.*got 1", change=lambda t: t.assign(id=t["id"].replace(2, 1)))
    refused(
        "ids that are not in the sample.*got 9999", change=lambda t: t.assign(id=t["id"].replace(2, 9999))
    )
    refused("expected yes or no; got 'perhaps'", change=lambda t: t.assign(unsure="perhaps"))
    refused("no column 'id'", change=lambda t: t.drop(columns="id"))


GOLDEN = """map,deforestation,forest gain,stable forest,stable non-forest,pixels
deforestation,66,0,5,4,200000
forest gain,0,55,8,12,150000
stable forest,1,0,153,11,3200000
stable non-forest,2,1,9,313,6450000
"""


@pytest.fixture
def matrix(tmp_path):
    path = tmp_path / "matrix.csv"
    path.write_text(GOLDEN)
    return path


def test_a_published_matrix_gives_the_published_numbers(matrix):
    record = record_of(estimate(matrix=matrix, pixel_m2=900))

    def rounded(entry, digits):
        return round(entry["estimate"], digits), round(entry["half_width"], digits)

    assert set(record["overall"]) == {"estimate", "half_width"}
    assert rounded(record["overall"], 4) == (0.9465, 0.0185)
    assert rounded(record["users"]["forest gain"], 3) == (0.733, 0.101)
    assert rounded(record["producers"]["forest gain"], 3) == (0.847, 0.254)
    assert rounded(record["area_ha"]["deforestation"], 0) == (21_158, 6_158)
    assert record["mapped_area_ha"]["deforestation"] == 18_000


def test_a_matrix_without_pixel_size_has_shares_and_no_areas(matrix):
    record = record_of(estimate(matrix=matrix))

    assert record["area_ha"]["forest gain"] == {"estimate": None, "half_width": None}
    assert record["area_share"]["forest gain"]["estimate"] == pytest.approx(0.0130, abs=5e-5)


def test_the_table_has_a_row_for_each_estimate(matrix, tmp_path):
    estimate(matrix=matrix, pixel_m2=900, csv=tmp_path / "all.csv")

    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    users = {row["map_class"]: row for row in rows if row["measure"] == "users"}
    assert round(float(users["deforestation"]["estimate"]), 3) == 0.88
    assert round(float(users["deforestation"]["half_width"]), 3) == 0.074
    counts = [float(row["estimate"]) for row in rows if row["measure"] == "count"]
    assert sum(counts) == 640


def test_results_replace_only_results(matrix, tmp_path):
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n")

    with pytest.raises(OutputError, match="not a table of an assessment"):
        estimate(matrix=matrix, csv=tmp_path / "mine.csv", overwrite=True)
    with pytest.raises(OutputError, match="input of the same command"):
        estimate(matrix=matrix, csv=matrix, overwrite=True)
    for _ in range(2):
        estimate(matrix=matrix, csv=tmp_path / "own.csv", html=tmp_path / "own.html", overwrite=True)


@pytest.mark.parametrize(
    "options", [{}, {"sample": "a.gpkg", "matrix": "b.csv"}, {"matrix": "b.csv", "map": "map.tif"}]
)
def test_either_a_sample_or_a_matrix_is_assessed(options):
    with pytest.raises(SettingsError, match="matrix"):
        AssessEstimateSettings(**options)


def test_a_result_prints_as_a_table(matrix):
    text = str(estimate(matrix=matrix, pixel_m2=900))

    assert "73.3 ± 10.1" in text
    assert "Overall accuracy 94.7 ± 1.8 %" in text


def test_the_report_is_one_page_that_escapes_class_names(matrix, tmp_path):
    matrix.write_text(GOLDEN.replace("forest gain", "<b>gain & $1$"))
    estimate(matrix=matrix, pixel_m2=900, html=tmp_path / "report.html")

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>gain" not in page
    assert "&lt;b&gt;gain &amp; $1$" in page
    assert page.count("data:image/png;base64,") == 3
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert 'src="http' not in page


def test_the_report_shows_labels_and_interpreters(draw, interpreter, tmp_path):
    sample = draw()
    labelled = interpreter.label(sample, change=lambda t: t.assign(unsure=t.index % 50 == 0).iloc[:-3])
    estimate(labelled, second_interpreter=interpreter.label(sample, "b.gpkg"), html=tmp_path / "report.html")

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "First interpreter in rows" in page
    assert "Without unsure labels" in page
    assert "3 of 300 points have no label" in page
