/** Documents of the HTTP API of a project. */

export type Extent = [number, number, number, number];
export type Stretch = [number, number];

export interface Band {
  index: number;
  name: string;
  dtype: string;
  low: number;
  high: number;
}

export interface Crs {
  code: string | null;
  name: string;
  units: string;
}

export interface Display {
  bands: number[];
  stretch: Stretch[];
}

export interface Raster {
  id: string;
  name: string;
  path: string;
  width: number;
  height: number;
  bands: Band[];
  crs: Crs | null;
  transform: [number, number, number, number, number, number];
  extent: Extent;
  pixel_m: number | null;
  levels: number;
  display: Display;
}

export interface LandClass {
  id: number;
  name: string;
  color: string;
  key: string | null;
  revision: number;
  points: number;
  check_points: number;
}

export interface Model {
  revision: number;
  points: number;
  seconds: number;
  recipe: string;
  points_revision: number;
  message: string | null;
}

export interface Project {
  name: string;
  folder: string;
  revision: number;
  annotator: string;
  rasters: Raster[];
  classes: LandClass[];
  undo: string | null;
  redo: string | null;
  model: Model | null;
}

export type Position = [number, number];
export type Geometry =
  | { type: "Point"; coordinates: Position }
  | { type: "LineString"; coordinates: Position[] }
  | { type: "Polygon"; coordinates: Position[][] };

export type Source = "clicked" | "suggested" | "random" | "imported" | "qgis";
export type Role = "train" | "check";

export interface Point {
  id: string;
  raster: string;
  geometry: Geometry;
  class_id: number | null;
  unsure: boolean;
  source: Source;
  role: Role;
  annotator: string;
  date: string;
  revision: number;
}

export interface Add {
  op: "add";
  id: string;
  raster: string;
  geometry: Geometry;
  class_id: number | null;
  unsure: boolean;
  source: Source;
  role: Role;
}

export interface Update {
  op: "update";
  id: string;
  revision: number;
  geometry?: Geometry;
  class_id?: number | null;
  unsure?: boolean;
}

export interface Delete {
  op: "delete";
  id: string;
  revision: number;
}

export type Change = Add | Update | Delete;

export interface Changed {
  revision: number;
  points: Point[];
  deleted: string[];
  undo: string | null;
  redo: string | null;
}

export interface Conflict {
  id: string;
  current: Point | null;
}

export interface FeatureCount {
  done: number;
  total: number;
}

export interface FeatureStatus extends FeatureCount {
  view_done: number;
  view_total: number;
  message: string | null;
}

export interface Job {
  id: string;
  kind: "train" | "map" | "export";
  title: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  progress: number | null;
  message: string | null;
  seconds_left: number | null;
  results: { name: string; url: string }[];
}

export interface Interval {
  estimate: number;
  low: number;
  high: number;
}

export interface Accuracy {
  points: number;
  overall: Interval | null;
  basis: string;
  message: string | null;
  classes: { id: number; users: Interval | number | null; producers: Interval | number | null }[];
}

export interface Status {
  revision: number;
  classes_revision: number;
  model: Model | null;
  features: Record<string, FeatureStatus>;
  previews: Record<string, boolean>;
  jobs: Job[];
  accuracy: Accuracy | null;
}

export interface Areas {
  model: number | null;
  share_computed: number;
  classes: { id: number; hectares: number | null; share: number }[];
}

export interface Pixel {
  row: number;
  col: number;
  bands: { index: number; value: number | null }[];
  class_id: number | null;
  confidence: number | null;
  probabilities: { id: number; probability: number }[];
}

export interface Suggestion {
  id: string;
  x: number;
  y: number;
  reason: "coverage" | "uncertain" | "random";
  class_id: number | null;
  confidence: number | null;
}

export interface Suspicious {
  id: string;
  class_id: number;
  predicted_id: number;
  probability: number;
}

export interface CurvePoint {
  count: number;
  miou: number;
  low: number | null;
  high: number | null;
}

export interface Histogram {
  counts: number[];
  low: number;
  high: number;
}

export interface ExportList {
  unsaved: string[];
  items: { name: string; url: string; size: number | null }[];
}
