/** Where next: places whose labels help most, answered one after the other. */

import { suggest } from "../api/client";
import type { Suggestion } from "../api/types";
import { h, swatch } from "../elements/dom";
import { icon } from "../elements/icons";
import { percent } from "../elements/numbers";
import { section } from "../elements/section";
import { attempt, type Page } from "../page";
import { type Answer, className, classOf, currentSuggestion } from "../state/store";

const REASONS = {
  coverage: "unlike the labels so far",
  uncertain: "the model is unsure",
  random: "drawn at random, measures accuracy",
};

// Check points are answered without a proposal, which would sway the answer.
const NAMELESS = { coverage: "Not predicted yet", uncertain: "Not predicted yet", random: "Check point" };

export class Suggestions {
  readonly element: HTMLElement;
  private readonly list = h("ol", { id: "suggestions", class: "suggestions" });
  private readonly message = h("p", { class: "hint", role: "status" });
  private readonly amount = h("select", { "aria-label": "How many places" }, ...[5, 10, 20, 50].map((each) => h("option", { value: each, selected: each === 10 }, `${each} places`)));
  private readonly place = h("select", { "aria-label": "Where to look" }, h("option", { value: "view" }, "in view"), h("option", { value: "raster" }, "in raster"));
  private readonly button = h("button", { type: "button", id: "suggest", title: "Suggest places to label (N)", click: () => void this.ask() }, "Suggest");

  constructor(
    private readonly page: Page,
    private readonly labelled: () => void,
  ) {
    const part = section("suggestions", "Where next", true, h("div", { class: "row" }, this.amount, this.place, this.button), this.message, this.list);
    this.element = part.element;
    page.store.watch(["suggestions", "suggestionId", "project"], () => this.show());
    page.store.watch(["suggestions"], () => {
      const left = page.store.now.suggestions.length;
      part.note.textContent = left ? `${left} to answer` : "";
    });
    page.store.watch(["suggestionId"], () => this.goToCurrent());
  }

  async ask(): Promise<void> {
    const { page } = this;
    this.button.disabled = true;
    this.message.textContent = "Looking for places …";
    const extent = this.place.value === "view" ? page.map.extent() : null;
    const answer = await attempt(page, () => suggest(page.store.now.rasterId, extent, Number(this.amount.value)));
    this.button.disabled = false;
    this.message.textContent = answer?.message ?? "";
    if (answer) page.store.set({ suggestions: answer.suggestions, suggestionId: answer.suggestions[0]?.id ?? null });
  }

  /** Answer the current suggestion with a class, or as unsure. */
  answer(answer: Answer): void {
    const current = currentSuggestion(this.page.store.now);
    if (!current) return;
    const isRandom = current.reason === "random";
    performance.mark("geoseg:label");
    this.page.edits.add({
      raster: this.page.store.now.rasterId,
      geometry: { type: "Point", coordinates: [current.x, current.y] },
      class_id: answer === "unsure" ? null : answer,
      unsure: answer === "unsure",
      source: isRandom ? "random" : "suggested",
      role: isRandom ? "check" : "train",
    });
    this.labelled();
    this.skip();
  }

  /** Take the predicted class as the answer. */
  accept(): void {
    const current = currentSuggestion(this.page.store.now);
    if (current && current.class_id !== null) this.answer(current.class_id);
  }

  /** Leave the current suggestion without an answer, and go to the next one. */
  skip(): void {
    const { suggestions, suggestionId } = this.page.store.now;
    const place = suggestions.findIndex((each) => each.id === suggestionId);
    const left = suggestions.filter((each) => each.id !== suggestionId);
    this.page.store.set({ suggestions: left, suggestionId: (left[place] ?? left[0])?.id ?? null });
    if (!left.length) this.message.textContent = "All places are answered. Ask for more when the map has been updated.";
  }

  close(): void {
    this.page.store.set({ suggestionId: null });
  }

  private goToCurrent(): void {
    const current = currentSuggestion(this.page.store.now);
    if (current) this.page.map.goTo({ type: "Point", coordinates: [current.x, current.y] });
  }

  private show(): void {
    const { suggestions } = this.page.store.now;
    this.list.replaceChildren(...suggestions.map((each, place) => this.item(each, place + 1)));
    this.list.querySelector(".current")?.scrollIntoView({ block: "nearest" });
  }

  private item(suggestion: Suggestion, number: number): HTMLElement {
    const { store } = this.page;
    const isCurrent = suggestion.id === store.now.suggestionId;
    const landClass = classOf(store.now, suggestion.class_id);
    const confidence = suggestion.confidence === null ? "" : ` ${percent(suggestion.confidence)}`;
    const open = h(
      "button",
      { type: "button", class: "open", "aria-current": isCurrent ? "true" : null, click: () => store.set({ suggestionId: suggestion.id }) },
      h("span", { class: "number" }, String(number)),
      landClass ? swatch(landClass.color) : null,
      h("span", { class: "name" }, landClass ? `${landClass.name}${confidence}` : NAMELESS[suggestion.reason], h("span", { class: "reason" }, REASONS[suggestion.reason])),
    );
    return h("li", { class: isCurrent ? "current" : "" }, open, isCurrent ? this.answers(suggestion) : null);
  }

  private answers({ class_id }: Suggestion): HTMLElement {
    const accept = h("button", { type: "button", class: "primary", title: "Accept (Enter)", click: () => this.accept() }, icon("check"), `Accept ${class_id === null ? "" : className(this.page.store.now, class_id)}`);
    return h(
      "div",
      { class: "answers" },
      class_id === null ? null : accept,
      h("button", { type: "button", title: "Skip (S)", click: () => this.skip() }, "Skip"),
      h("p", { class: "hint" }, `${class_id === null ? "Press" : "Or press"} the key of a class, 0 for unsure.`),
    );
  }
}

