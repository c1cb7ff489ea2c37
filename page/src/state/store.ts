/** What the page shows, and who is told when it changes. */

import type { PredictionView } from "../api/client";
import type {
  Change,
  LandClass,
  Model,
  Point,
  Project,
  Raster,
  Status,
  Suggestion,
} from "../api/types";

export type Answer = number | "unsure";
export type Tool = "Point" | "LineString" | "Polygon";
export type Connection = "open" | "gone" | "refused";

/** A change of this tab that met another change of the same point. */
export interface OpenConflict {
  change: Change;
  before: Point | null;
  current: Point | null;
}

export interface State {
  project: Project;
  rasterId: string;
  points: ReadonlyMap<string, Point>;
  unsent: number;
  conflicts: OpenConflict[];
  undo: string | null;
  redo: string | null;
  revision: number;
  answer: Answer | null;
  tool: Tool;
  connection: Connection;
  status: Status | null;
  model: Model | null;
  isUpdating: boolean;
  updateMessage: string | null;
  isLive: boolean;
  view: PredictionView;
  isPredictionShown: boolean;
  opacity: number;
  swipe: number | null;
  suggestions: Suggestion[];
  suggestionId: string | null;
  selectedPointId: string | null;
  annotator: string;
}

type Key = keyof State;

export class Store {
  private readonly watchers: { keys: Key[]; run: () => void }[] = [];

  constructor(private state: State) {}

  get now(): Readonly<State> {
    return this.state;
  }

  set(change: Partial<State>): void {
    const changed = (Object.keys(change) as Key[]).filter((key) => this.state[key] !== change[key]);
    if (!changed.length) return;
    this.state = { ...this.state, ...change };
    for (const watcher of this.watchers) {
      if (watcher.keys.some((key) => changed.includes(key))) watcher.run();
    }
  }

  /** Run a function now, and again whenever one of the keys changes. */
  watch(keys: Key[], run: () => void): void {
    this.watchers.push({ keys, run });
    run();
  }
}

export function activeRaster({ project, rasterId }: State): Raster {
  const raster = project.rasters.find((each) => each.id === rasterId) ?? project.rasters[0];
  if (!raster) throw new Error("The project has no raster.");
  return raster;
}

export function classOf(state: State, id: number | null): LandClass | null {
  return state.project.classes.find((each) => each.id === id) ?? null;
}

export function className(state: State, id: number | null): string {
  return classOf(state, id)?.name ?? "unknown class";
}

export function currentSuggestion(state: State): Suggestion | null {
  return state.suggestions.find((each) => each.id === state.suggestionId) ?? null;
}
