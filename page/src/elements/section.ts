/** A part of the side panel that opens and closes. */

import { h, type Child } from "./dom";

export interface Section {
  element: HTMLElement;
  body: HTMLElement;
  note: HTMLElement;
  isOpen: () => boolean;
  onOpen: (run: () => void) => void;
}

export function section(name: string, title: string, isOpen: boolean, ...children: Child[]): Section {
  const key = `geoseg-section:${name}`;
  const note = h("span", { class: "note" });
  const body = h("div", { class: "body" }, ...children);
  const element = h(
    "details",
    { class: "section", id: `section-${name}` },
    h("summary", {}, h("h2", {}, title), note),
    body,
  );
  element.open = (localStorage.getItem(key) ?? (isOpen ? "open" : "closed")) === "open";
  element.addEventListener("toggle", () => localStorage.setItem(key, element.open ? "open" : "closed"));
  return {
    element,
    body,
    note,
    isOpen: () => element.open,
    onOpen: (run) => element.addEventListener("toggle", () => element.open && run()),
  };
}
