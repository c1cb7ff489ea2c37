/** The parts of the page that panels talk to. */

import type { LabelMap } from "./map/label_map";
import type { ModelUpdates } from "./state/model_updates";
import type { PointEdits } from "./state/point_edits";
import type { Polling } from "./state/polling";
import type { Store } from "./state/store";

export interface Page {
  store: Store;
  edits: PointEdits;
  updates: ModelUpdates;
  polling: Polling;
  map: LabelMap;
  /** Show a message for a few seconds. */
  tell: (text: string) => void;
}

/** Run a request; an error is told to the user. */
export async function attempt<T>(page: Pick<Page, "tell">, run: () => Promise<T>): Promise<T | null> {
  try {
    return await run();
  } catch (error) {
    page.tell(error instanceof Error ? error.message : String(error));
    return null;
  }
}
