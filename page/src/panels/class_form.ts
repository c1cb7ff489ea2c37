/** The form that changes or deletes a class. */

import { changeClass, deleteClass } from "../api/client";
import { Problem } from "../api/problems";
import type { LandClass } from "../api/types";
import { h } from "../elements/dom";
import type { Page } from "../page";
import { reloadProject } from "../state/polling";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];

export function editClass(page: Page, landClass: LandClass, close: (form: HTMLElement) => void): HTMLElement {
  const name = h("input", { type: "text", value: landClass.name, "aria-label": "Name", maxlength: 100, required: true });
  const color = h("input", { type: "color", value: landClass.color, "aria-label": "Colour" });
  const key = h(
    "select",
    { "aria-label": "Key" },
    h("option", { value: "" }, "no key"),
    ...KEYS.map((each) => h("option", { value: each, selected: each === landClass.key }, `key ${each}`)),
  );
  const form = h("form", { class: "class-form" });
  const finish = async (run: () => Promise<unknown>) => {
    try {
      await run();
    } catch (error) {
      page.tell(explain(error, landClass.name));
    }
    close(form);
    await reloadProject(page.store).catch(() => {});
  };
  const save = () =>
    changeClass(landClass.id, { revision: landClass.revision, name: name.value.trim(), color: color.value, key: key.value });
  const remove = () => deleteClass(landClass.id, landClass.revision);
  form.append(
    h("div", { class: "row" }, color, name, key),
    h(
      "div",
      { class: "row" },
      h("button", { type: "submit", class: "primary" }, "Save"),
      h("button", { type: "button", click: () => close(form) }, "Cancel"),
      h("span", { class: "space" }),
      h("button", { type: "button", class: "danger", click: () => void finish(remove) }, "Delete"),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void finish(save);
  });
  window.setTimeout(() => name.focus());
  return form;
}

function explain(error: unknown, name: string): string {
  const detail = error instanceof Error ? error.message : String(error);
  return error instanceof Problem ? `${name} was not changed. ${detail}` : detail;
}
