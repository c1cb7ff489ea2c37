/** Requests to the server, one function per endpoint. */

import { Problem, problemOf, Unreachable } from "./problems";
import type {
  Areas,
  Change,
  Changed,
  CurvePoint,
  Display,
  ExportList,
  Extent,
  FeatureCount,
  Histogram,
  Job,
  LandClass,
  Model,
  Pixel,
  Point,
  Project,
  Status,
  Suggestion,
  Suspicious,
} from "./types";

const ROOT = "/v1/project";
const PATIENCE_MS = 120_000;

type Reached = (isReached: boolean) => void;
let tellReached: Reached = () => {};

/** Call ``listener`` after each request with whether the server answered. */
export function onReached(listener: Reached): void {
  tellReached = listener;
}

async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const limit = AbortSignal.timeout(PATIENCE_MS);
  const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit;
  let response: Response;
  try {
    response = await fetch(ROOT + path, { ...init, signal });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    tellReached(false);
    throw new Unreachable();
  }
  tellReached(true);
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await request(path, { signal: signal ?? null })).json();
}

async function send<T>(method: string, path: string, body: unknown): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  return (await request(path, { method, headers, body: JSON.stringify(body), priority: "high" })).json();
}

async function upload<T>(path: string, file: File, fields: Record<string, string> = {}): Promise<T> {
  const form = new FormData();
  form.append("file", file);
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return (await request(path, { method: "POST", body: form })).json();
}

/** Return the paths below the project that the server has. */
export async function readPaths(): Promise<Set<string>> {
  const { paths } = (await (await fetch("/openapi.json")).json()) as { paths: Record<string, unknown> };
  return new Set(Object.keys(paths).map((path) => path.replace(ROOT, "")));
}

export const readProject = (): Promise<Project> => get("");
export const readStatus = (): Promise<Status> => get("/status");

export interface ProjectChange {
  name?: string;
  display?: Record<string, Display>;
}
export const changeProject = (change: ProjectChange): Promise<unknown> => send("PATCH", "", change);

export const addClass = (name: string): Promise<LandClass> => send("POST", "/classes", { name });
export const changeClass = (
  id: number,
  change: { revision: number; name?: string; color?: string; key?: string },
): Promise<LandClass> => send("PATCH", `/classes/${id}`, change);
export async function deleteClass(id: number, revision: number): Promise<void> {
  await request(`/classes/${id}?revision=${revision}`, { method: "DELETE" });
}
export const importClasses = (file: File): Promise<unknown> => upload("/classes/import", file);

export const readPoints = (
  since: number,
): Promise<{ revision: number; points: Point[]; deleted: string[] }> => get(`/points?since=${since}`);
export const sendChanges = (annotator: string, changes: Change[]): Promise<Changed> =>
  send("POST", "/changes", { annotator, changes });
export const undo = (annotator: string): Promise<Changed> => send("POST", "/undo", { annotator });
export const redo = (annotator: string): Promise<Changed> => send("POST", "/redo", { annotator });
export const importPoints = (
  file: File,
  annotator: string,
): Promise<{ imported: number; dropped: { reason: string; count: number }[]; revision: number }> =>
  upload("/points/import", file, { annotator });

export const readFirst = (raster: string, extent: Extent): Promise<{ features: FeatureCount }> =>
  send("POST", "/view", { raster, extent });
export const updateModel = (
  raster: string,
  extent: Extent,
): Promise<{ model: Model; features: FeatureCount }> => send("POST", "/update", { raster, extent });

export const readHistogram = (raster: string, band: number): Promise<Histogram> =>
  get(`/rasters/${raster}/histogram?band=${band}`);
export const readAreas = (raster: string, extent: Extent, signal: AbortSignal): Promise<Areas> =>
  get(`/areas?raster=${raster}&extent=${extent.join(",")}`, signal);
export const readPixel = (raster: string, x: number, y: number, signal: AbortSignal): Promise<Pixel> =>
  get(`/pixel?raster=${raster}&x=${x}&y=${y}`, signal);

export const suggest = (
  raster: string,
  extent: Extent | null,
  count: number,
): Promise<{ suggestions: Suggestion[]; message: string | null }> =>
  send("POST", "/suggestions", extent ? { raster, extent, count } : { raster, count });
export const readSuspicious = (): Promise<{ points: Suspicious[]; message: string | null }> =>
  get("/suspicious");
export const readCurve = (): Promise<{ points: CurvePoint[]; message: string | null }> =>
  get("/learning-curve");

export const startTraining = (recipe: string): Promise<Job> =>
  send("POST", "/jobs", { kind: "train", recipe });
export const startMapping = (rasters: string[]): Promise<Job> => send("POST", "/jobs", { kind: "map", rasters });
export async function cancelJob(id: string): Promise<void> {
  await request(`/jobs/${id}`, { method: "DELETE" });
}

export const readExport = (): Promise<ExportList> => get("/export");

export function imageTileUrl(raster: string, display: Display, z: number, col: number, row: number): string {
  const stretch = display.stretch.flat().join(",");
  return `${ROOT}/rasters/${raster}/tiles/${z}/${col}/${row}.png?bands=${display.bands.join(",")}&stretch=${stretch}`;
}

export type PredictionView = "classes" | "confidence";

/** Return a tile of the prediction, or null where nothing is computed yet. */
export async function readPredictionTile(
  tile: { raster: string; view: PredictionView; model: number; z: number; col: number; row: number },
  signal: AbortSignal,
): Promise<ImageBitmap | null> {
  const { raster, view, model, z, col, row } = tile;
  const path = `/rasters/${raster}/prediction/${z}/${col}/${row}.png?view=${view}&model=${model}`;
  const response = await request(path, { signal });
  return response.status === 204 ? null : createImageBitmap(await response.blob());
}

export { Problem };
