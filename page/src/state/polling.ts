/** Ask for the state of the server again and again: often while something runs, seldom otherwise. */

import * as api from "../api/client";
import { Problem } from "../api/problems";
import type { Status } from "../api/types";
import type { PointEdits } from "./point_edits";
import type { Store } from "./store";

const BUSY_MS = 1000;
const QUIET_MS = 4000;
const GONE_MS = 1500;

export class Polling {
  private timer = 0;
  private isAsking = false;

  constructor(
    private readonly store: Store,
    private readonly edits: PointEdits,
  ) {}

  /** Ask now, and go on. */
  async poll(): Promise<void> {
    if (this.isAsking) return;
    this.isAsking = true;
    window.clearTimeout(this.timer);
    try {
      await this.take(await api.readStatus());
    } catch (error) {
      if (error instanceof Problem && error.status === 401) this.store.set({ connection: "refused" });
    }
    this.isAsking = false;
    this.timer = window.setTimeout(() => void this.poll(), this.delay());
  }

  private delay(): number {
    const { connection, status } = this.store.now;
    if (connection !== "open") return GONE_MS;
    return status && isBusy(status) ? BUSY_MS : QUIET_MS;
  }

  private async take(status: Status): Promise<void> {
    const { model, isUpdating } = this.store.now;
    // The own update brings its model once the map of the view is ready.
    const isNewer = !isUpdating && (status.model?.revision ?? -1) > (model?.revision ?? -1);
    const before = this.store.now.status;
    this.store.set({ status, connection: "open", ...(isNewer ? { model: status.model } : {}) });
    const isBehind = status.revision > this.store.now.revision && !this.store.now.unsent;
    if (isBehind) await this.edits.pull();
    if (isBehind || before?.classes_revision !== status.classes_revision) await reloadProject(this.store);
    if (this.store.now.unsent) await this.edits.flush();
  }
}

/** Read classes, rasters and undo again; the points have their own way. */
export async function reloadProject(store: Store): Promise<void> {
  const project = await api.readProject();
  store.set({ project, undo: project.undo, redo: project.redo });
}

export function isBusy(status: Status): boolean {
  const isReading = Object.values(status.features).some((each) => each.view_done < each.view_total);
  return isReading || status.jobs.some((job) => job.state === "running" || job.state === "queued");
}
