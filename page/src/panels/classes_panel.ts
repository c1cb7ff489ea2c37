/** The classes: choose, add, rename, colour, keys, counts, import. */

import { addClass, importClasses, importPoints } from "../api/client";
import type { LandClass } from "../api/types";
import { h, swatch } from "../elements/dom";
import { icon } from "../elements/icons";
import { count } from "../elements/numbers";
import { section } from "../elements/section";
import { attempt, type Page } from "../page";
import { reloadProject } from "../state/polling";
import type { Answer } from "../state/store";
import { editClass } from "./class_form";

export function classesPanel(page: Page): HTMLElement {
  const list = h("div", { id: "classes", role: "radiogroup", "aria-label": "Class of the next label" });
  const part = section("classes", "Classes", true, list, addForm(page), importRow(page));
  page.store.watch(["project"], () => showRows(page, list));
  page.store.watch(["points"], () => showCounts(page, list));
  page.store.watch(["answer"], () => markChosen(list, page.store.now.answer));
  page.store.watch(["points"], () => (part.note.textContent = count(page.store.now.points.size, "label")));
  return part.element;
}

interface Counts {
  train: number;
  check: number;
}

function countLabels({ store }: Page): Map<Answer, Counts> {
  const counts = new Map<Answer, Counts>();
  for (const { class_id, unsure, role } of store.now.points.values()) {
    const answer = unsure || class_id === null ? "unsure" : class_id;
    const found = counts.get(answer) ?? { train: 0, check: 0 };
    found[role] += 1;
    counts.set(answer, found);
  }
  return counts;
}

function showRows(page: Page, list: HTMLElement): void {
  if (list.querySelector("form")) return; // somebody is editing a class
  const focused = document.activeElement?.id;
  list.replaceChildren(
    ...page.store.now.project.classes.map((each) => classRow(page, list, each)),
    unsureRow(page),
  );
  showCounts(page, list);
  markChosen(list, page.store.now.answer);
  if (focused && list.querySelector(`#${focused}`)) document.getElementById(focused)?.focus();
}

/** Change the numbers alone: a row that is replaced while it is clicked would lose the click. */
function showCounts(page: Page, list: HTMLElement): void {
  const counts = countLabels(page);
  for (const output of list.querySelectorAll<HTMLElement>(".count")) {
    const answer = output.dataset["answer"] === "unsure" ? "unsure" : Number(output.dataset["answer"]);
    const { train, check } = counts.get(answer) ?? { train: 0, check: 0 };
    output.textContent = check ? `${train} + ${check}` : String(train);
    output.title = `${count(train, "training label")}, ${count(check, "check point")}`;
  }
}

function classRow(page: Page, list: HTMLElement, landClass: LandClass): HTMLElement {
  const row = h(
    "div",
    { class: "class-row" },
    choice(page, landClass.id, swatch(landClass.color), landClass.name, landClass.key),
  );
  const edit = () => row.replaceWith(editClass(page, landClass, (form) => {
    form.remove();
    showRows(page, list);
  }));
  row.append(h("button", { type: "button", class: "quiet", "aria-label": `Change ${landClass.name}`, title: "Name, colour, key, delete", click: edit }, icon("edit")));
  return row;
}

function unsureRow(page: Page): HTMLElement {
  const mark = h("span", { class: "swatch unsure", "aria-hidden": "true" }, "?");
  return h("div", { class: "class-row" }, choice(page, "unsure", mark, "Unsure", "0"));
}

function choice(page: Page, answer: Answer, mark: HTMLElement, name: string, key: string | null): HTMLElement {
  const input = h("input", { type: "radio", name: "class", id: `class-${answer}`, value: answer, change: () => page.store.set({ answer }) });
  const total = h("span", { class: "count", "data-answer": answer });
  return h("label", {}, input, mark, h("span", { class: "name" }, name), total, key ? h("kbd", {}, key) : null);
}

function markChosen(list: HTMLElement, answer: Answer | null): void {
  for (const input of list.querySelectorAll<HTMLInputElement>("input[name=class]")) {
    input.checked = input.value === String(answer);
  }
}

function addForm(page: Page): HTMLElement {
  const name = h("input", { type: "text", id: "new-class", placeholder: "New class", "aria-label": "Name of the new class", maxlength: 100, autocomplete: "off", required: true });
  const form = h("form", { class: "row" }, name, h("button", { type: "submit" }, "Add"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void attempt(page, async () => {
      const added = await addClass(name.value.trim());
      name.value = "";
      await reloadProject(page.store);
      page.store.set({ answer: added.id });
    });
  });
  return form;
}

function importRow(page: Page): HTMLElement {
  const classes = fileButton("Import classes", ".json,.csv,.qml", "A legend.json, a CSV of name and colour, or a QGIS style (QML)", (file) =>
    attempt(page, async () => {
      await importClasses(file);
      await reloadProject(page.store);
    }),
  );
  const points = fileButton("Import points", ".gpkg,.geojson,.json,.csv,.zip", "A GeoPackage, GeoJSON or CSV with a column of classes", (file) =>
    attempt(page, async () => {
      const { imported, dropped } = await importPoints(file, page.store.now.annotator);
      const left = dropped.map((each) => `${each.count} left out: ${each.reason}`);
      page.tell([`${count(imported, "point")} imported`, ...left].join("; "));
      await reloadProject(page.store);
      await page.edits.pull();
    }),
  );
  return h("div", { class: "row" }, classes, points);
}

function fileButton(label: string, accept: string, title: string, take: (file: File) => Promise<unknown>): HTMLElement {
  const input = h("input", { type: "file", accept, class: "visually-hidden", tabindex: -1, "aria-hidden": "true" });
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) void take(file).then(() => (input.value = ""));
  });
  const button = h("button", { type: "button", class: "link", title, click: () => input.click() }, label);
  return h("span", {}, button, input);
}
