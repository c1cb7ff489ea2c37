/** What the user must know: short messages, the banner of the connection, conflicts. */

import { byId, h } from "../elements/dom";
import { count } from "../elements/numbers";
import type { Page } from "../page";
import { className, type OpenConflict, type State } from "../state/store";

const MESSAGE_MS = 7000;

/** Show a message for a few seconds. */
export function tell(text: string): void {
  const message = h("div", { class: "message" }, text);
  byId("messages").append(message);
  window.setTimeout(() => message.remove(), MESSAGE_MS);
}

export function connectionBanner({ store }: Page): void {
  const banner = byId("banner");
  store.watch(["connection", "unsent"], () => {
    const { connection, unsent } = store.now;
    banner.hidden = connection === "open";
    const kept = unsent ? ` ${count(unsent, "change")} of yours ${unsent === 1 ? "is" : "are"} kept here and will be sent.` : "";
    if (connection === "gone") banner.textContent = `The server does not answer. The page tries again until it is back.${kept}`;
    if (connection === "refused") banner.textContent = `The server does not know this page any more. Open the address that geoseg label printed, in this tab.${kept}`;
  });
  window.addEventListener("beforeunload", (event) => {
    if (store.now.unsent && store.now.connection !== "refused") event.preventDefault();
  });
}

export function conflictList(page: Page): void {
  const box = byId("conflicts");
  page.store.watch(["conflicts", "project"], () => {
    const { conflicts } = page.store.now;
    box.hidden = !conflicts.length;
    if (!conflicts.length) return box.replaceChildren();
    box.replaceChildren(
      h("h2", {}, "Changed by somebody else at the same time"),
      h("ul", {}, ...conflicts.map((each) => conflictItem(page, each))),
    );
  });
}

function conflictItem(page: Page, conflict: OpenConflict): HTMLElement {
  const { current, before } = conflict;
  const geometry = current?.geometry ?? before?.geometry;
  const choose = (useMine: boolean) => {
    page.edits.resolve(conflict, useMine);
    page.updates.pointsChanged();
  };
  return h(
    "li",
    {},
    h("p", {}, `${theirs(page.store.now, conflict)} ${mine(page.store.now, conflict)}`),
    h(
      "div",
      { class: "row" },
      h("button", { type: "button", click: () => choose(false) }, "Keep theirs"),
      h("button", { type: "button", class: "primary", click: () => choose(true) }, "Use mine"),
      geometry ? h("button", { type: "button", class: "link", click: () => page.map.goTo(geometry) }, "Show") : null,
    ),
  );
}

function theirs(state: State, { current }: OpenConflict): string {
  if (!current) return "Another tab or person deleted this label.";
  const who = current.annotator && current.annotator !== state.annotator ? current.annotator : "Another tab";
  const what = current.unsure ? "unsure" : className(state, current.class_id);
  return `${who} changed this label: it is ${what} now.`;
}

function mine(state: State, { change }: OpenConflict): string {
  if (change.op === "delete") return "You deleted it.";
  if (change.op === "update" && change.geometry) return "You moved it.";
  return change.unsure ? "You said unsure." : `You said ${className(state, change.class_id ?? null)}.`;
}
