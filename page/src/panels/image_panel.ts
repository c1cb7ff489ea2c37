/** The image: which raster, which bands, and their stretch. */

import { changeProject, readHistogram } from "../api/client";
import type { Display, Histogram, Raster, Stretch } from "../api/types";
import { histogramChart } from "../elements/charts";
import { h } from "../elements/dom";
import { section } from "../elements/section";
import { debounced } from "../elements/timing";
import { attempt, type Page } from "../page";
import { activeRaster } from "../state/store";

const COLORS = ["Red", "Green", "Blue"];

export function imagePanel(page: Page): HTMLElement {
  const channels = h("div", {});
  const part = section("image", "Image", false, rasterChoice(page), channels, h("div", { class: "row" }, resetButton(page), h("button", { type: "button", click: () => page.map.showAll() }, "Whole raster")));
  const show = () => {
    if (part.isOpen()) channels.replaceChildren(...channelRows(page));
  };
  part.onOpen(show);
  page.store.watch(["rasterId"], show);
  page.store.watch(["rasterId", "project"], () => (part.note.textContent = activeRaster(page.store.now).name));
  return part.element;
}

function rasterChoice({ store }: Page): HTMLElement {
  const select = h("select", { id: "raster", change: () => store.set({ rasterId: select.value, suggestions: [], suggestionId: null }) });
  store.watch(["project", "rasterId"], () => {
    select.replaceChildren(...store.now.project.rasters.map(({ id, name }) => h("option", { value: id, selected: id === store.now.rasterId }, name)));
  });
  return h("label", { class: "row" }, h("span", { class: "label" }, "Raster"), select);
}

function resetButton(page: Page): HTMLElement {
  const reset = () => {
    const raster = activeRaster(page.store.now);
    const stretch = raster.display.bands.map((index) => suggestedStretch(raster, index));
    setDisplay(page, { ...raster.display, stretch });
  };
  return h("button", { type: "button", title: "The stretch that the raster began with", click: reset }, "Reset stretch");
}

function suggestedStretch(raster: Raster, index: number): Stretch {
  const band = raster.bands.find((each) => each.index === index);
  return band ? [band.low, band.high] : [0, 255];
}

function channelRows(page: Page): HTMLElement[] {
  const { display } = activeRaster(page.store.now);
  return display.bands.map((_, channel) => channelRow(page, channel, display.bands.length === 1 ? "Grey" : (COLORS[channel] ?? "Band")));
}

function channelRow(page: Page, channel: number, label: string): HTMLElement {
  const raster = activeRaster(page.store.now);
  const band = h("select", { "aria-label": `${label}: band` }, ...raster.bands.map(({ index, name }) => h("option", { value: index, selected: index === raster.display.bands[channel] }, name || `Band ${index}`)));
  const [low, high] = [stretchField(`${label}: dark`), stretchField(`${label}: bright`)];
  const chart = h("div", {});
  let histogram: Histogram | null = null;

  const show = () => {
    const [from, to] = activeRaster(page.store.now).display.stretch[channel] ?? [0, 255];
    low.value = String(from);
    high.value = String(to);
    if (histogram) chart.replaceChildren(histogramChart(histogram, from, to));
  };
  const read = async () => {
    histogram = await attempt(page, () => readHistogram(raster.id, Number(band.value)));
    show();
  };
  band.addEventListener("change", () => {
    changeChannel(page, channel, Number(band.value), suggestedStretch(raster, Number(band.value)));
    void read();
  });
  for (const field of [low, high]) {
    field.addEventListener("change", () => {
      const stretch: Stretch = [Number(low.value), Number(high.value)];
      if (stretch[0] < stretch[1]) changeChannel(page, channel, Number(band.value), stretch);
      else page.tell("The dark end of the stretch must be below the bright end.");
      show();
    });
  }
  page.store.watch(["project"], () => chart.isConnected && show());
  void read();
  return h("fieldset", { class: "channel" }, h("legend", {}, label), h("div", { class: "row" }, band, low, high), chart);
}

function stretchField(label: string): HTMLInputElement {
  return h("input", { type: "number", step: "any", "aria-label": label, title: label });
}

function changeChannel(page: Page, channel: number, band: number, stretch: Stretch): void {
  const { display } = activeRaster(page.store.now);
  setDisplay(page, {
    bands: display.bands.map((each, place) => (place === channel ? band : each)),
    stretch: display.stretch.map((each, place) => (place === channel ? stretch : each)),
  });
}

let unsavedDisplay: (() => void) | null = null;
const saveLater = debounced(600, () => unsavedDisplay?.());

function setDisplay(page: Page, display: Display): void {
  const { project, rasterId } = page.store.now;
  const rasters = project.rasters.map((each) => (each.id === rasterId ? { ...each, display } : each));
  page.store.set({ project: { ...project, rasters } });
  unsavedDisplay = () => void attempt(page, () => changeProject({ display: { [rasterId]: display } }));
  saveLater();
}
