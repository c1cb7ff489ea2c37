"""A running ``geoseg label`` and a page of it in Chromium."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page

PATIENCE_S = 60.0
# How the panel and the bar of the page divide a window of 1280 x 800.
MAP_LEFT, MAP_TOP, MAP_WIDTH, MAP_HEIGHT = 320, 48, 960, 752


@dataclass
class LabelServer:
    """A process that serves the page of a project, and can be killed and started again."""

    project: Path
    port: int = 0
    address: str = ""
    process: subprocess.Popen[str] | None = None

    def start(self) -> LabelServer:
        command = [sys.executable, "-m", "geoseg", "label", "--no-browser", "--project", str(self.project)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=[\w-]{32}", self.address)
        assert found, self.address
        self.port = int(found[1])
        return self

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None


@dataclass
class Tab:
    """A tab that shows the whole raster, ``side`` pixels high and wide, and what its console said."""

    page: Page
    side: int
    complaints: list[str] = field(default_factory=list)

    def place(self, row: float, col: float) -> tuple[float, float]:
        """Return where a pixel of the raster is in the window, before the view was moved."""
        scale = (MAP_HEIGHT - 32) / self.side
        x = MAP_LEFT + MAP_WIDTH / 2 + (col - self.side / 2) * scale
        return x, MAP_TOP + MAP_HEIGHT / 2 + (row - self.side / 2) * scale

    def click(self, row: float, col: float) -> None:
        self.page.mouse.click(*self.place(row, col))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.until(lambda: self._finds_label(*start), f"a label at {start}")
        self.page.mouse.down()
        self.page.mouse.move(*self.place(*end), steps=4)
        self.page.mouse.up()

    def _finds_label(self, row: float, col: float) -> bool:
        x, y = self.place(row, col)
        self.page.mouse.move(x + 1, y)
        self.page.mouse.move(x, y)
        return self.page.locator("#map.over-label").count() == 1

    def add_class(self, name: str) -> None:
        self.page.get_by_label("Name of the new class").fill(name)
        self.page.keyboard.press("Enter")
        self.page.get_by_role("radio", name=name).wait_for(state="attached")

    def choose(self, name: str) -> None:
        self.page.locator(".class-row label", has_text=name).click()

    def until(self, is_so: Callable[[], Any], what: str) -> Any:
        """Wait without the page's help: its policy forbids code from text, which wait_for_function sends."""
        end = time.monotonic() + PATIENCE_S
        while not (found := is_so()):
            assert time.monotonic() < end, f"waited for {what} in vain: {self.page.inner_text('body')}"
            self.page.wait_for_timeout(25)
        return found

    def until_saved(self) -> None:
        self.until(lambda: self.page.inner_text("#saved") == "Saved", "all changes to be saved")

    def labels(self) -> str:
        return self.page.inner_text("#section-classes .note")

    def until_labels(self, count: int) -> None:
        shown = f"{count} label{'' if count == 1 else 's'}"
        self.until(lambda: self.labels() == shown, f"{shown}, there are {self.labels()}")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)


_EMPTY_PROJECT = """async () => {
  const { points } = await (await fetch("/v1/project/points")).json();
  const changes = points.map(({ id, revision }) => ({ op: "delete", id, revision }));
  const body = JSON.stringify({ annotator: "tests", changes });
  const headers = { "Content-Type": "application/json" };
  if (changes.length) await fetch("/v1/project/changes", { method: "POST", headers, body });
}"""


def open_tab(context: BrowserContext, server: LabelServer, side: int) -> Tab:
    tab = Tab(context.new_page(), side)
    tab.page.on("console", lambda line: line.type == "error" and tab.complaints.append(line.text))
    tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.page.goto(server.address)
    tab.page.wait_for_selector("body[data-ready]")
    return tab


def empty_project(tab: Tab) -> None:
    """Delete all labels of the project, which tests share because a server takes seconds to start."""
    tab.page.evaluate(_EMPTY_PROJECT)
    tab.page.reload()
    tab.page.wait_for_selector("body[data-ready]")
    tab.until_labels(0)
