/** How good the map is: check points, learning curve, suspicious labels. */

import { readCurve, readSuspicious } from "../api/client";
import type { Accuracy, Interval, Suspicious } from "../api/types";
import { curveChart } from "../elements/charts";
import { h, swatch } from "../elements/dom";
import { count, percent } from "../elements/numbers";
import { section } from "../elements/section";
import { attempt, type Page } from "../page";
import { className, classOf, type State } from "../state/store";

export function accuracyPanel(page: Page, paths: Set<string>): HTMLElement {
  const line = h("p", { id: "accuracy" });
  const table = h("tbody", {});
  const classes = h(
    "table",
    {},
    h("caption", {}, "By class, at the check points"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Class"), h("th", { scope: "col", title: "Share of the mapped class that is right" }, "User's"), h("th", { scope: "col", title: "Share of the class on the ground that the map shows" }, "Producer's"))),
    table,
  );
  const part = section("accuracy", "Accuracy", true, line, classes, paths.has("/learning-curve") ? curvePart(page) : null, paths.has("/suspicious") ? suspiciousPart(page) : null);
  page.store.watch(["status", "project"], () => {
    const { accuracy } = page.store.now.status ?? { accuracy: null };
    line.textContent = describe(accuracy);
    part.note.textContent = accuracy?.overall ? percent(accuracy.overall.estimate) : "";
    const rows = accuracy?.overall ? accuracy.classes : [];
    classes.hidden = !rows.length;
    table.replaceChildren(...rows.map((each) => classRow(page.store.now, each)));
  });
  return part.element;
}

function describe(accuracy: Accuracy | null): string {
  if (!accuracy) return "Too few points to say: answer the random suggestions, they become check points.";
  if (!accuracy.overall) return capital(accuracy.message ?? "too few points to say.");
  const { estimate, low, high } = accuracy.overall;
  const range = `${percent(estimate)} of the map is right (95 % interval ${percent(low)} to ${percent(high)}), from ${count(accuracy.points, "check point")}.`;
  return accuracy.message ? `${range} ${capital(accuracy.message)}` : range;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function classRow(state: State, { id, users, producers }: Accuracy["classes"][number]): HTMLElement {
  return h("tr", {}, h("th", { scope: "row" }, swatch(classOf(state, id)?.color ?? "#888"), className(state, id)), h("td", {}, share(users)), h("td", {}, share(producers)));
}

function share(value: Interval | number | null): string {
  if (value === null) return "–";
  return percent(typeof value === "number" ? value : value.estimate);
}

function curvePart(page: Page): HTMLElement {
  const chart = h("div", { id: "curve" });
  const show = async () => {
    chart.replaceChildren(h("p", { class: "hint" }, "Computing …"));
    const curve = await attempt(page, readCurve);
    if (!curve) chart.replaceChildren();
    else chart.replaceChildren(...(curve.points.length ? [curveChart(curve.points)] : []), ...(curve.message ? [h("p", { class: "hint" }, curve.message)] : []));
  };
  return h("div", {}, h("button", { type: "button", id: "show-curve", click: () => void show() }, "Learning curve"), chart);
}

function suspiciousPart(page: Page): HTMLElement {
  const list = h("ul", { id: "suspicious", class: "suspicious" });
  const show = async () => {
    list.replaceChildren(h("li", { class: "hint" }, "Checking …"));
    const found = await attempt(page, readSuspicious);
    const message = found?.message ?? (found && !found.points.length ? "No label stands out." : null);
    list.replaceChildren(...(found?.points ?? []).map((each) => suspiciousItem(page, each)), ...(message ? [h("li", { class: "hint" }, message)] : []));
  };
  return h("div", {}, h("button", { type: "button", id: "show-suspicious", title: "Labels that the model of the other labels contradicts", click: () => void show() }, "Suspicious labels"), list);
}

function suspiciousItem(page: Page, { id, class_id, predicted_id, probability }: Suspicious): HTMLElement {
  const state = page.store.now;
  const go = () => {
    const point = page.store.now.points.get(id);
    if (!point) return page.tell("This label has been removed.");
    page.store.set({ selectedPointId: id, rasterId: point.raster });
    page.map.goTo(point.geometry);
  };
  const text = `${className(state, class_id)}, looks like ${className(state, predicted_id)} (${percent(probability)})`;
  return h("li", {}, h("button", { type: "button", class: "open", click: go }, swatch(classOf(state, class_id)?.color ?? "#888"), swatch(classOf(state, predicted_id)?.color ?? "#888"), h("span", {}, text)));
}
