/** Changes of points that are not confirmed yet: their effect, and whether the server has them already. */

import type { Change, Geometry, Point } from "../api/types";

/** Return a point after a change that the server has not confirmed; null if the change deletes it. */
export function afterChange(point: Point | null, change: Change, annotator: string): Point | null {
  if (change.op === "delete") return null;
  if (change.op === "add") {
    const { op: _, ...content } = change;
    return { ...content, annotator, date: "", revision: 0 };
  }
  if (!point) return null;
  return {
    ...point,
    geometry: change.geometry ?? point.geometry,
    class_id: change.class_id === undefined ? point.class_id : change.class_id,
    unsure: change.unsure ?? point.unsure,
  };
}

/** Tell whether the server's point is as the change wants it, so that nothing is left to do. */
export function isAsWanted(current: Point | null, change: Change): boolean {
  if (change.op === "delete") return current === null;
  if (current === null) return false;
  const geometry = change.geometry;
  const isPlaced = geometry === undefined || isSameGeometry(geometry, current.geometry);
  const isNamed = change.class_id === undefined || change.class_id === current.class_id;
  return isPlaced && isNamed && (change.unsure === undefined || change.unsure === current.unsure);
}

function isSameGeometry(first: Geometry, second: Geometry): boolean {
  const [a, b] = [first.coordinates.flat(2), second.coordinates.flat(2)] as [number[], number[]];
  // Files may keep fewer digits.
  return first.type === second.type && a.length === b.length && a.every((x, i) => isClose(x, b[i] ?? NaN));
}

function isClose(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a));
}
