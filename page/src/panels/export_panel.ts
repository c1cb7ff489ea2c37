/** Take the results along: files of the project, and what is not in them yet. */

import { readExport } from "../api/client";
import { h } from "../elements/dom";
import { size } from "../elements/numbers";
import { section } from "../elements/section";
import { debounced } from "../elements/timing";
import { attempt, type Page } from "../page";

export function exportPanel(page: Page): HTMLElement {
  const unsaved = h("ul", { id: "unsaved", class: "warnings" });
  const items = h("ul", { id: "exports", class: "files" });
  const part = section("export", "Export", false, unsaved, items);
  const read = async () => {
    if (!part.isOpen()) return;
    const list = await attempt(page, readExport);
    if (!list) return;
    const waiting = page.store.now.unsent ? ["changes of this page that the server has not confirmed"] : [];
    const missing = [...waiting, ...list.unsaved];
    unsaved.replaceChildren(...missing.map((text) => h("li", {}, text)));
    part.note.textContent = missing.length ? `${missing.length} not saved` : "all saved";
    items.replaceChildren(...list.items.map((each) => h("li", {}, h("a", { href: each.url, download: "" }, each.name), each.size === null ? null : h("span", { class: "hint" }, ` ${size(each.size)}`))));
  };
  const later = debounced(1000, () => void read());
  part.onOpen(() => void read());
  page.store.watch(["revision", "model", "unsent"], later);
  let jobs = "";
  page.store.watch(["status"], () => {
    const now = (page.store.now.status?.jobs ?? []).map((job) => job.state).join();
    if (now !== jobs) later();
    jobs = now;
  });
  return part.element;
}
