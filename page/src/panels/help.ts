/** The keys of the page. */

import { h } from "../elements/dom";

const KEYS: [string, string][] = [
  ["1 to 9", "choose the class; with a suggestion open: answer it"],
  ["0", "unsure"],
  ["Enter", "on the map: label its middle; with a suggestion open: accept it"],
  ["S", "skip the suggestion"],
  ["N", "ask for suggestions"],
  ["U", "update the model"],
  ["H", "hide or show the land cover"],
  ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"],
  ["Escape", "cancel a line or polygon, close a suggestion"],
  ["arrows, + and −", "move and zoom the map, once it has the focus"],
];

export function showHelp(): void {
  const close = h("button", { type: "button", class: "primary" }, "Close");
  const dialog = h(
    "dialog",
    { "aria-labelledby": "help-title" },
    h("h2", { id: "help-title" }, "Mouse, finger and keys"),
    h("p", {}, "Click the map: a point of the chosen class. Click a point: remove it. Drag a point: move it. A line or polygon ends with a double click or Enter."),
    h("dl", { class: "keys" }, ...KEYS.flatMap(([key, what]) => [h("dt", {}, key), h("dd", {}, what)])),
    h("p", { class: "buttons" }, close),
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
