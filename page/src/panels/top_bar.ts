/** The bar above the map: undo, redo, tools, Update, and whether everything is saved. */

import { byId, h } from "../elements/dom";
import { icon, type IconName } from "../elements/icons";
import { count } from "../elements/numbers";
import { attempt, type Page } from "../page";
import type { Tool } from "../state/store";
import { showHelp } from "./help";

const TOOLS: { tool: Tool; label: string; icon: IconName }[] = [
  { tool: "Point", label: "Point", icon: "point" },
  { tool: "LineString", label: "Line", icon: "line" },
  { tool: "Polygon", label: "Polygon", icon: "polygon" },
];

export function topBar(page: Page): void {
  byId("top-bar").append(
    panelButton(),
    projectName(page),
    h("div", { class: "group" }, stepButton(page, "undo"), stepButton(page, "redo")),
    toolChoice(page),
    h("div", { class: "group update" }, updateButton(page), liveSwitch(page)),
    h("span", { class: "space" }),
    savedState(page),
    annotatorField(page),
    h("button", { type: "button", class: "quiet", "aria-label": "Help and keys", title: "Help and keys (?)", click: showHelp }, icon("help")),
  );
}

function panelButton(): HTMLElement {
  const button = h("button", { type: "button", class: "quiet", "aria-label": "Side panel", "aria-controls": "panel", "aria-expanded": "true" }, icon("menu"));
  button.addEventListener("click", () => {
    const isHidden = document.body.classList.toggle("without-panel");
    button.setAttribute("aria-expanded", String(!isHidden));
  });
  return button;
}

function projectName({ store }: Page): HTMLElement {
  const name = h("h1", {});
  store.watch(["project"], () => {
    name.textContent = store.now.project.name;
    name.title = store.now.project.folder;
    document.title = `${store.now.project.name} · geoseg label`;
  });
  return name;
}

function stepButton(page: Page, step: "undo" | "redo"): HTMLElement {
  const word = step === "undo" ? "Undo" : "Redo";
  const keys = step === "undo" ? "Ctrl+Z" : "Ctrl+Shift+Z";
  const button = h("button", { type: "button", id: step, click: () => void takeStep(page, step) }, icon(step), word);
  page.store.watch([step, "unsent"], () => {
    const what = page.store.now[step];
    button.disabled = what === null && !(step === "undo" && page.store.now.unsent);
    button.title = what ? `${word}: ${what} (${keys})` : `${word} (${keys})`;
  });
  return button;
}

export async function takeStep(page: Page, step: "undo" | "redo"): Promise<void> {
  await attempt(page, () => page.edits[step]());
  page.updates.pointsChanged();
}

function toolChoice({ store }: Page): HTMLElement {
  const choice = h("div", { class: "group segmented", role: "radiogroup", "aria-label": "What a click draws" });
  for (const { tool, label, icon: name } of TOOLS) {
    const input = h("input", { type: "radio", name: "tool", value: tool, change: () => store.set({ tool }) });
    choice.append(h("label", {}, input, icon(name), label));
    store.watch(["tool"], () => (input.checked = store.now.tool === tool));
  }
  return choice;
}

function updateButton({ store, updates }: Page): HTMLElement {
  const text = h("span", {}, "Update");
  const button = h("button", { type: "button", id: "update", class: "primary", title: "Fit the model to all points (U)", click: () => void updates.update() }, text);
  store.watch(["isUpdating", "model", "revision", "unsent"], () => {
    const { isUpdating, model, revision, unsent } = store.now;
    const isOld = !model || unsent > 0 || revision > model.points_revision;
    text.textContent = isUpdating ? "Updating …" : "Update";
    button.setAttribute("aria-busy", String(isUpdating));
    button.classList.toggle("stale", isOld);
  });
  return button;
}

function liveSwitch({ store, updates }: Page): HTMLElement {
  const input = h("input", { type: "checkbox", id: "live", role: "switch" });
  input.checked = store.now.isLive;
  input.addEventListener("change", () => {
    store.set({ isLive: input.checked });
    localStorage.setItem("geoseg-live", String(input.checked));
    updates.pointsChanged();
  });
  return h("label", { class: "switch", title: "Update after each click" }, input, "Live");
}

function savedState({ store }: Page): HTMLElement {
  const output = h("output", { id: "saved" });
  store.watch(["unsent"], () => {
    const { unsent } = store.now;
    output.textContent = unsent ? `${count(unsent, "change")} not saved yet` : "Saved";
    output.classList.toggle("waiting", unsent > 0);
  });
  return output;
}

function annotatorField({ store }: Page): HTMLElement {
  const input = h("input", { id: "annotator", type: "text", autocomplete: "off", maxlength: 80, size: 10 });
  input.value = store.now.annotator;
  input.addEventListener("change", () => {
    const annotator = input.value.trim() || store.now.project.annotator;
    input.value = annotator;
    localStorage.setItem("geoseg-annotator", annotator);
    store.set({ annotator });
  });
  return h("label", { class: "annotator", title: "Your name, recorded with each label" }, "Name", input);
}
