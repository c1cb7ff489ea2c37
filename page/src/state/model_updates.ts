/** Refit the model on the points of now, one request at a time. */

import * as api from "../api/client";
import { Problem, words } from "../api/problems";
import type { Extent } from "../api/types";
import { debounced } from "../elements/timing";
import type { PointEdits } from "./point_edits";
import type { Store } from "./store";

const LIVE_DELAY_MS = 120;

export class ModelUpdates {
  private isAskedAgain = false;
  private readonly later = debounced(LIVE_DELAY_MS, () => void this.update());

  constructor(
    private readonly store: Store,
    private readonly edits: PointEdits,
    private readonly viewExtent: () => Extent,
  ) {}

  /** In live mode: update soon. */
  pointsChanged(): void {
    if (this.store.now.isLive && this.hasTwoClasses()) this.later();
  }

  /** Update now, or right after the update that runs. */
  async update(): Promise<void> {
    if (this.store.now.isUpdating) {
      this.isAskedAgain = true;
      return;
    }
    this.store.set({ isUpdating: true });
    do {
      this.isAskedAgain = false;
      await this.edits.settled();
      await this.ask();
    } while (this.isAskedAgain);
    this.store.set({ isUpdating: false });
  }

  private hasTwoClasses(): boolean {
    const labels = [...this.store.now.points.values()];
    const classes = labels.filter(({ role, unsure }) => role === "train" && !unsure).map((label) => label.class_id);
    return new Set(classes).size > 1;
  }

  private async ask(): Promise<void> {
    const { rasterId } = this.store.now;
    try {
      const { model } = await api.updateModel(rasterId, this.viewExtent());
      // A newer one may have come with the status meanwhile.
      if (model.revision >= (this.store.now.model?.revision ?? 0)) this.store.set({ model });
      this.store.set({ updateMessage: model.message });
    } catch (error) {
      if (error instanceof Problem) this.store.set({ updateMessage: words(error) });
    }
  }
}
