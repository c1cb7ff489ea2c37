/** The predicted land cover: show, confidence, opacity, swipe, areas, and how far the reading of features is. */

import type { PredictionView } from "../api/client";
import { byId, h } from "../elements/dom";
import { count, duration } from "../elements/numbers";
import { section } from "../elements/section";
import type { Page } from "../page";
import { areasTable } from "./areas_table";

export function predictionPanel(page: Page): HTMLElement {
  const { store } = page;
  const part = section(
    "prediction",
    "Land cover",
    true,
    modelLine(page),
    featureProgress(page),
    h("div", { class: "row" }, shownBox(page), viewChoice(page)),
    confidenceKey(page),
    slider(page),
    swipeBox(page),
    areasTable(page),
  );
  store.watch(["model"], () => {
    part.note.textContent = store.now.model ? `model ${store.now.model.revision}` : "";
  });
  return part.element;
}

function modelLine({ store }: Page): HTMLElement {
  const line = h("p", { id: "model", class: "hint", role: "status" });
  store.watch(["model", "updateMessage", "isUpdating"], () => {
    const { model, updateMessage } = store.now;
    const fitted = model ? `Fitted to ${count(model.points, "point")} in ${model.seconds.toFixed(2)} s.` : "Label two classes, then press Update.";
    line.textContent = [fitted, updateMessage ?? ""].join(" ").trim();
  });
  return line;
}

/** How much of the view has features; the map appears there. */
function featureProgress({ store }: Page): HTMLElement {
  const bar = h("progress", { max: 1, "aria-label": "Features read in the view" });
  const text = h("span", { class: "hint" });
  const box = h("div", { id: "features", class: "row features" }, bar, text);
  let since: { time: number; done: number } | null = null;
  store.watch(["status", "rasterId"], () => {
    const features = store.now.status?.features[store.now.rasterId];
    const isReading = !!features && features.view_done < features.view_total;
    box.hidden = !isReading && !features?.message;
    if (!features || !isReading) {
      since = null;
      text.textContent = features?.message ?? "";
      bar.hidden = true;
      return;
    }
    bar.hidden = false;
    bar.value = features.view_done / features.view_total;
    since ??= { time: performance.now(), done: features.view_done };
    const rate = (features.view_done - since.done) / (performance.now() - since.time);
    const left = rate > 0 ? `, about ${duration((features.view_total - features.view_done) / rate / 1000)} left` : "";
    text.textContent = `Reading the view: ${features.view_done} of ${features.view_total}${left}`;
  });
  return box;
}

function shownBox({ store }: Page): HTMLElement {
  const input = h("input", { type: "checkbox", id: "show-prediction", change: () => store.set({ isPredictionShown: input.checked }) });
  store.watch(["isPredictionShown"], () => (input.checked = store.now.isPredictionShown));
  return h("label", { class: "check", title: "Hide or show (H)" }, input, "Show");
}

function viewChoice({ store }: Page): HTMLElement {
  const choice = h("div", { class: "segmented", role: "radiogroup", "aria-label": "What the map shows" });
  const views: [PredictionView, string][] = [["classes", "Classes"], ["confidence", "Confidence"]];
  for (const [view, label] of views) {
    const input = h("input", { type: "radio", name: "view", value: view, change: () => store.set({ view }) });
    choice.append(h("label", {}, input, label));
    store.watch(["view"], () => (input.checked = store.now.view === view));
  }
  return choice;
}

function confidenceKey({ store }: Page): HTMLElement {
  const key = h("div", { class: "ramp-key" }, h("span", {}, "unsure"), h("span", { class: "ramp", "aria-hidden": "true" }), h("span", {}, "sure"));
  store.watch(["view"], () => (key.hidden = store.now.view !== "confidence"));
  return key;
}

function slider({ store }: Page): HTMLElement {
  const input = h("input", { type: "range", id: "opacity", min: 0, max: 100, step: 5, value: 100 * store.now.opacity });
  input.addEventListener("input", () => store.set({ opacity: Number(input.value) / 100 }));
  return h("label", { class: "row" }, h("span", { class: "label" }, "Opacity"), input);
}

function swipeBox({ store }: Page): HTMLElement {
  const handle = byId<HTMLInputElement>("swipe");
  const line = byId("swipe-line");
  handle.addEventListener("input", () => store.set({ swipe: Number(handle.value) / 1000 }));
  const input = h("input", { type: "checkbox", id: "use-swipe", change: () => store.set({ swipe: input.checked ? 0.5 : null }) });
  store.watch(["swipe"], () => {
    const { swipe } = store.now;
    handle.hidden = line.hidden = swipe === null;
    if (swipe === null) return;
    handle.value = String(Math.round(1000 * swipe));
    line.style.left = `${100 * swipe}%`;
  });
  return h("label", { class: "check", title: "Compare with the image: drag the handle below the map" }, input, "Swipe between image and land cover");
}
