/** Edits of points: shown at once, sent in order, kept until the server has confirmed them. */

import * as api from "../api/client";
import { Problem, words } from "../api/problems";
import type { Change, Changed, Conflict, Delete, Point, Update } from "../api/types";
import type { OpenConflict, Store } from "./store";
import { afterChange, isAsWanted } from "./wanted";

interface Waiting {
  change: Change;
  before: Point | null; // as it was shown before the change
  followsOwn: boolean; // an earlier change of this point waits, too: its answer will give the revision
}

const BATCH = 200;

export class PointEdits {
  private readonly confirmed = new Map<string, Point>();
  private waiting: Waiting[] = [];
  private isSending = false;
  private singly = false;
  private readonly idle: (() => void)[] = [];

  constructor(
    private readonly store: Store,
    private readonly tell: (text: string) => void,
  ) {
    this.waiting = JSON.parse(sessionStorage.getItem(this.storageKey) ?? "[]");
  }

  /** Read the points that others changed since the revision that this tab knows. */
  async pull(): Promise<void> {
    const { revision, points, deleted } = await api.readPoints(this.store.now.revision);
    if (revision < this.store.now.revision) return;
    this.merge(points, deleted);
    this.store.set({ revision });
  }

  add(change: Omit<Extract<Change, { op: "add" }>, "op" | "id">): string {
    const id = crypto.randomUUID();
    this.enqueue({ op: "add", id, ...change });
    return id;
  }

  update(id: string, change: Omit<Update, "op" | "id" | "revision">): void {
    this.enqueue({ op: "update", id, revision: this.store.now.points.get(id)?.revision ?? 0, ...change });
  }

  remove(id: string): void {
    this.enqueue({ op: "delete", id, revision: this.store.now.points.get(id)?.revision ?? 0 });
  }

  /** Take back the last change that was not sent, or the last change of the project. */
  async undo(): Promise<void> {
    if (this.waiting.length && !this.isSending) {
      this.waiting = this.waiting.slice(0, -1);
      this.show();
      return;
    }
    await this.settled();
    this.take(await api.undo(this.store.now.annotator));
  }

  async redo(): Promise<void> {
    await this.settled();
    this.take(await api.redo(this.store.now.annotator));
  }

  /** Resolve when nothing is being sent. */
  settled(): Promise<void> {
    return this.isSending ? new Promise((resolve) => this.idle.push(resolve)) : Promise.resolve();
  }

  /** Send what waits. Errors of the connection leave it waiting. */
  async flush(): Promise<void> {
    if (this.isSending) return;
    this.isSending = true;
    try {
      while (this.waiting.length) await this.sendBatch();
    } catch {
      // The banner of the connection says so; the next answer of the server starts another try.
    } finally {
      this.isSending = false;
      this.idle.splice(0).forEach((resolve) => resolve());
    }
  }

  /** Close a conflict: keep what the other one did, or do the own change again on top of it. */
  resolve(conflict: OpenConflict, useMine: boolean): void {
    this.store.set({ conflicts: this.store.now.conflicts.filter((each) => each !== conflict) });
    if (!useMine) return;
    const { change, before, current } = conflict;
    const wanted = afterChange(current ?? before, change, this.store.now.annotator);
    if (!wanted) this.remove(change.id);
    else if (current) {
      const { geometry, class_id, unsure } = wanted;
      this.update(change.id, { geometry, class_id, unsure });
    } else {
      const { raster, geometry, class_id, unsure, source, role } = wanted;
      this.add({ raster, geometry, class_id, unsure, source, role });
    }
  }

  private get storageKey(): string {
    return `geoseg-unsent:${this.store.now.project.folder}`;
  }

  private enqueue(change: Change): void {
    const followsOwn = this.waiting.some((each) => each.change.id === change.id);
    this.waiting = [
      ...this.waiting,
      { change, before: this.store.now.points.get(change.id) ?? null, followsOwn },
    ];
    this.show();
    void this.flush();
  }

  private async sendBatch(): Promise<void> {
    const batch = this.nextBatch();
    try {
      const answer = await api.sendChanges(
        this.store.now.annotator,
        batch.map((each) => this.withRevision(each)),
      );
      this.drop(batch);
      this.singly = false;
      this.take(answer);
    } catch (error) {
      if (!(error instanceof Problem) || error.status === 401 || error.status >= 500) throw error;
      if (error.status === 409 && error.conflicts.length) await this.meet(batch, error.conflicts);
      else if (batch.length > 1) this.singly = true; // to find the one that is refused
      else {
        this.drop(batch);
        this.tell(`Not saved: ${words(error)}`);
      }
    }
  }

  private nextBatch(): Waiting[] {
    const ids = new Set<string>();
    const batch: Waiting[] = [];
    for (const each of this.waiting.slice(0, this.singly ? 1 : BATCH)) {
      if (ids.has(each.change.id)) break;
      ids.add(each.change.id);
      batch.push(each);
    }
    return batch;
  }

  private withRevision({ change, followsOwn }: Waiting): Change {
    if (change.op === "add" || !followsOwn) return change;
    return { ...change, revision: this.confirmed.get(change.id)?.revision ?? change.revision } as Update | Delete;
  }

  private async meet(batch: Waiting[], conflicts: Conflict[]): Promise<void> {
    const met = new Map(conflicts.map((each) => [each.id, each.current]));
    const touched = batch.filter((each) => met.has(each.change.id));
    this.drop(touched.length ? touched : batch);
    const open = touched
      .map(({ change, before }) => ({ change, before, current: met.get(change.id) ?? null }))
      .filter(({ change, current }) => !isAsWanted(current, change));
    this.store.set({ conflicts: [...this.store.now.conflicts, ...open] });
    this.merge(
      conflicts.flatMap((each) => each.current ?? []),
      conflicts.filter((each) => !each.current).map((each) => each.id),
    );
    await this.pull();
  }

  private take({ revision, points, deleted, undo, redo }: Changed): void {
    const isNext = revision === this.store.now.revision + 1;
    this.merge(points, deleted);
    this.store.set(isNext ? { revision, undo, redo } : { undo, redo });
    if (!isNext) void this.pull().catch(() => {}); // somebody else's changes lie between
  }

  private merge(points: Point[], deleted: string[]): void {
    for (const point of points) {
      // Answers may overtake one another.
      if (point.revision >= (this.confirmed.get(point.id)?.revision ?? 0)) this.confirmed.set(point.id, point);
    }
    for (const id of deleted) this.confirmed.delete(id);
    this.show();
  }

  private drop(entries: Waiting[]): void {
    this.waiting = this.waiting.filter((each) => !entries.includes(each));
    this.show();
  }

  private show(): void {
    const points = new Map(this.confirmed);
    for (const { change } of this.waiting) {
      const point = afterChange(points.get(change.id) ?? null, change, this.store.now.annotator);
      if (point) points.set(change.id, point);
      else points.delete(change.id);
    }
    sessionStorage.setItem(this.storageKey, JSON.stringify(this.waiting));
    this.store.set({ points, unsent: this.waiting.length });
  }
}
