"""A person labels a raster in the browser."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from tests.web.label.browsing import LabelServer, Tab, empty_project, open_tab
from tests.web.label.conftest import SIDE

from geoseg.workflows.labelling.project_files import create_project

ROOT = Path(__file__).parents[3]
AXE = ROOT / "page" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which("chromium")
# Rows and columns of the scene: field on the left, wood in the middle, water on the right.
FIELD = [(60, 30), (120, 60), (200, 25), (280, 80)]
WOOD = [(60, 140), (120, 180), (200, 130), (280, 190)]
WATER = [(60, 250), (120, 290), (200, 240), (280, 300)]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def server(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    project = create_project(tmp_path_factory.mktemp("labelled") / "project", [scene]).folder
    server = LabelServer(project).start()
    yield server
    server.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext, server: LabelServer) -> Tab:
    tab = open_tab(context, server, SIDE)
    if not tab.page.locator(".class-row", has_text="Field").count():
        for name in ("Field", "Wood", "Water"):
            tab.add_class(name)
    empty_project(tab)
    tab.page.get_by_role("switch", name="Live").uncheck()
    return tab


def label(tab: Tab, name: str, places: list[tuple[int, int]]) -> None:
    tab.choose(name)
    for row, col in places:
        tab.click(row, col)


def pixel(tab: Tab, row: float, col: float) -> tuple[int, ...]:
    """The colour that the window shows at a pixel of the scene."""
    x, y = tab.place(row, col)
    shot = tab.page.screenshot(clip={"x": int(x), "y": int(y), "width": 1, "height": 1})
    found = Image.open(io.BytesIO(shot)).convert("RGB").getpixel((0, 0))
    assert isinstance(found, tuple)
    return found


def swatch(tab: Tab, name: str) -> tuple[int, ...]:
    row = tab.page.locator(".class-row", has_text=name)
    color = row.locator(".swatch").evaluate("(swatch) => swatch.style.backgroundColor")
    return tuple(int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(","))


def test_clicks_become_a_map_of_the_classes(tab: Tab) -> None:
    for name, places in (("Field", FIELD), ("Wood", WOOD), ("Water", WATER)):
        label(tab, name, places)
    tab.until_labels(12)
    tab.button("Update").click()
    tab.page.wait_for_selector("#map[data-model]")
    assert "Fitted to 12 points" in tab.page.inner_text("#model")
    tab.page.get_by_label("Opacity").fill("100")
    for name, place in (("Field", (160, 50)), ("Wood", (160, 160)), ("Water", (160, 270))):
        tab.until(lambda: pixel(tab, *place) == swatch(tab, name), f"{name} at {place}")  # noqa: B023
    assert pixel(tab, 5, 5) == (233, 236, 239), "nodata is empty"
    tab.page.mouse.move(*tab.place(160, 270))
    tab.until(lambda: "Water" in tab.page.inner_text("#read-out"), "the class under the pointer")
    tab.until(lambda: "Water" in tab.page.inner_text("#areas"), "areas in the view")
    tab.page.get_by_label("Show", exact=True).uncheck()
    tab.until(lambda: pixel(tab, 160, 270) != swatch(tab, "Water"), "the image without the map")
    assert tab.complaints == []


def test_live_mode_updates_the_map_after_a_click(tab: Tab) -> None:
    for name, places in (("Field", FIELD), ("Wood", WOOD)):
        label(tab, name, places)
    tab.page.get_by_role("switch", name="Live").check()
    label(tab, "Water", WATER[:1])
    tab.until(lambda: "Fitted to 9 points" in tab.page.inner_text("#model"), "the model of nine points")
    tab.until(
        lambda: tab.page.evaluate("performance.getEntriesByName('geoseg:label-to-map').length"),
        "the drawn map",
    )
    assert tab.complaints == []


def test_points_are_removed_moved_undone_and_there_after_a_reload(tab: Tab) -> None:
    label(tab, "Field", FIELD[:3])
    tab.until_labels(3)
    tab.click(*FIELD[0])
    tab.until_labels(2)
    tab.until_saved()
    tab.button("Undo").click()
    tab.until_labels(3)
    tab.page.keyboard.press("Control+Shift+Z")
    tab.until_labels(2)
    tab.drag(FIELD[1], (240, 60))
    tab.until_saved()
    tab.page.reload()
    tab.page.wait_for_selector("body[data-ready]")
    tab.until_labels(2)
    tab.click(240, 60)
    tab.until_labels(1)
    tab.until_saved()
    tab.page.reload()
    tab.page.wait_for_selector("body[data-ready]")
    tab.page.keyboard.press("Control+z")
    tab.until_labels(2)
    assert tab.complaints == []


def test_lines_polygons_and_unsure_are_labels_too(tab: Tab) -> None:
    tab.choose("Wood")
    tab.page.locator("#top-bar label", has_text="Line").click()
    tab.click(100, 120)
    tab.click(100, 200)
    tab.page.keyboard.press("Enter")
    tab.until_labels(1)
    tab.page.locator("#top-bar label", has_text="Polygon").click()
    for place in ((200, 120), (200, 200), (260, 160)):
        tab.click(*place)
    tab.page.keyboard.press("Enter")
    tab.until_labels(2)
    tab.page.locator("#top-bar label", has_text="Point").click()
    tab.page.keyboard.press("0")
    tab.click(230, 160)
    tab.until_labels(3)
    tab.until_saved()
    assert tab.page.locator(".class-row", has_text="Unsure").locator(".count").inner_text() == "1"
    assert tab.complaints == []


def test_the_map_is_labelled_with_keys_alone(tab: Tab) -> None:
    tab.page.locator("#map").focus()
    tab.page.keyboard.press("2")
    tab.page.keyboard.press("Enter")
    tab.until_labels(1)
    tab.until_saved()
    assert tab.page.locator(".class-row", has_text="Wood").locator(".count").inner_text() == "1"


def test_a_point_that_another_tab_moved_is_shown_as_a_conflict(
    tab: Tab, context: BrowserContext, server: LabelServer
) -> None:
    label(tab, "Field", FIELD[:1])
    tab.until_saved()
    other = open_tab(context, server, SIDE)
    other.until_labels(1)
    # Both act on the same revision: this tab is busy, so it has not heard of the move.
    context.set_offline(True)
    tab.click(*FIELD[0])
    tab.until(lambda: tab.page.inner_text("#saved") != "Saved", "the deletion to wait")
    tab.page.route("**/v1/project/**", lambda route: route.abort())
    context.set_offline(False)
    other.drag(FIELD[0], (160, 80))
    other.until_saved()
    tab.page.unroute("**/v1/project/**")
    tab.page.get_by_text("Another tab changed this label").wait_for()
    tab.until_labels(1)
    tab.button("Use mine").click()
    tab.until_labels(0)
    tab.until_saved()
    other.until_labels(0)
    assert not tab.page.locator("#conflicts").is_visible()


def test_nothing_is_lost_when_the_server_is_killed_and_started_again(tab: Tab, server: LabelServer) -> None:
    label(tab, "Field", FIELD[:1])
    tab.until_saved()
    server.kill()
    label(tab, "Wood", WOOD[:2])
    tab.page.get_by_text("The server does not answer").wait_for()
    assert tab.page.inner_text("#saved") == "2 changes not saved yet"
    tab.until_labels(3)
    server.start()
    tab.until_saved()
    tab.until(lambda: not tab.page.locator("#banner").is_visible(), "the banner to go")
    tab.page.reload()
    tab.page.wait_for_selector("body[data-ready]")
    tab.until_labels(3)


def test_names_of_classes_are_text(tab: Tab) -> None:
    name = "<img src=x onerror=document.title='hacked'>"
    tab.add_class(name)
    tab.page.get_by_text(name).wait_for()
    assert tab.page.locator("#panel img").count() == 0
    assert "hacked" not in tab.page.title()


def test_axe_finds_nothing_serious(tab: Tab) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make page")
    label(tab, "Field", FIELD)
    for part in tab.page.locator("details.section").all():
        part.evaluate("(part) => { part.open = true; }")
    tab.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = tab.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious] == []
