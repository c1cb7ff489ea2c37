/** Areas of the classes in the view. */

import { readAreas } from "../api/client";
import type { Areas } from "../api/types";
import { h, swatch } from "../elements/dom";
import { hectares, percent } from "../elements/numbers";
import { debounced } from "../elements/timing";
import type { Page } from "../page";
import { className, classOf, type Store } from "../state/store";

const AFTER_MAP_MS = 500; // the tiles of the map come first

export function areasTable({ store, map }: Page): HTMLElement {
  const caption = h("caption", {});
  const rows = h("tbody", {});
  const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Class"), h("th", { scope: "col" }, "Area"), h("th", { scope: "col" }, "Share")));
  const table = h("table", { id: "areas" }, caption, head, rows);
  let request: AbortController | null = null;

  const read = async () => {
    request?.abort();
    table.hidden = store.now.model === null;
    if (table.hidden) return;
    request = new AbortController();
    try {
      const areas = await readAreas(store.now.rasterId, map.extent(), request.signal);
      caption.textContent = describe(areas);
      rows.replaceChildren(...areas.classes.map((each) => row(store, each)));
    } catch {
      // The next view asks again.
    }
  };
  const later = debounced(AFTER_MAP_MS, () => void read());
  store.watch(["model", "rasterId"], later);
  let done = -1;
  store.watch(["status"], () => {
    const now = store.now.status?.features[store.now.rasterId]?.view_done ?? -1;
    if (now !== done) later();
    done = now;
  });
  map.onViewed(later);
  table.hidden = true;
  return table;
}

function describe({ share_computed }: Areas): string {
  return share_computed >= 0.9995 ? "Areas in the view" : `Areas in the view (${percent(share_computed)} of it is computed)`;
}

function row(store: Store, { id, hectares: area, share }: Areas["classes"][number]): HTMLElement {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, swatch(classOf(store.now, id)?.color ?? "#888"), className(store.now, id)),
    h("td", {}, area === null ? "–" : hectares(area)),
    h("td", {}, percent(share, 1)),
  );
}
