/** Keys of the whole page. */

import { takesKeys } from "./elements/dom";
import type { Drawing } from "./map/drawing";
import type { ReadOut } from "./map/read_out";
import type { Page } from "./page";
import { showHelp } from "./panels/help";
import type { Suggestions } from "./panels/suggestions_panel";
import { takeStep } from "./panels/top_bar";
import type { Answer } from "./state/store";

interface Parts {
  drawing: Drawing;
  suggestions: Suggestions;
  readOut: ReadOut;
}

export function listenToKeys(page: Page, parts: Parts): void {
  // The frame and the crosshair of the map are for those who move it with keys.
  document.addEventListener("pointerdown", () => document.body.classList.remove("keyboard"), { capture: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab" || event.key.startsWith("Arrow")) document.body.classList.add("keyboard");
    if (takesKeys(event.target) || document.querySelector("dialog[open]")) return;
    if (press(event, page, parts)) event.preventDefault();
  });
}

function press(event: KeyboardEvent, page: Page, parts: Parts): boolean {
  if (event.ctrlKey || event.metaKey) return pressWithControl(event, page);
  if (event.altKey) return false;
  if (/^[0-9]$/.test(event.key)) return pressDigit(event.key, page, parts);
  if (event.key === "Enter") return pressEnter(event, page, parts);
  const run = letters(page, parts)[event.key.toLowerCase()];
  run?.();
  return run !== undefined;
}

function letters(page: Page, { drawing, suggestions }: Parts): Record<string, () => void> {
  const { store } = page;
  return {
    u: () => void page.updates.update(),
    h: () => store.set({ isPredictionShown: !store.now.isPredictionShown }),
    n: () => void suggestions.ask(),
    s: () => suggestions.skip(),
    "?": showHelp,
    escape: () => {
      drawing.cancel();
      suggestions.close();
      store.set({ selectedPointId: null });
    },
  };
}

function pressWithControl(event: KeyboardEvent, page: Page): boolean {
  const key = event.key.toLowerCase();
  if (key === "y" || (key === "z" && event.shiftKey)) void takeStep(page, "redo");
  else if (key === "z") void takeStep(page, "undo");
  else return false;
  return true;
}

function pressDigit(key: string, page: Page, { suggestions }: Parts): boolean {
  const landClass = page.store.now.project.classes.find((each) => each.key === key);
  const answer: Answer | undefined = key === "0" ? "unsure" : landClass?.id;
  if (answer === undefined) return false;
  if (page.store.now.suggestionId) suggestions.answer(answer);
  else page.store.set({ answer });
  return true;
}

function pressEnter(event: KeyboardEvent, page: Page, { drawing, suggestions, readOut }: Parts): boolean {
  if (event.target instanceof HTMLElement && event.target.closest("button, a, summary, label")) return false;
  if (drawing.finish()) return true;
  if (page.store.now.suggestionId) {
    suggestions.accept();
    return true;
  }
  if (event.target !== page.map.map.getTargetElement()) return false;
  drawing.labelCentre();
  readOut.readCentre();
  return true;
}
