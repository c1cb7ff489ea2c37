/** Icons as lines on a grid of 24. */

import { svg } from "./dom";

const PATHS = {
  undo: "M9 7 4 12l5 5 M4 12h10a6 6 0 0 1 6 6",
  redo: "m15 7 5 5-5 5 M20 12H10a6 6 0 0 0-6 6",
  point: "M12 4a6 6 0 0 1 6 6c0 4.5-6 10-6 10S6 14.5 6 10a6 6 0 0 1 6-6z M12 8.5v3",
  line: "M4 18 10 9l5 5 5-8",
  polygon: "M12 4 20 10l-3 9H7L4 10z",
  edit: "M4 20h4L19 9l-4-4L4 16z",
  check: "m5 13 5 5L19 7",
  help: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4 M12 17.5v.5",
  menu: "M4 7h16 M4 12h16 M4 17h16",
  fit: "M4 9V4h5 M20 9V4h-5 M4 15v5h5 M20 15v5h-5",
} as const;

export type IconName = keyof typeof PATHS;

export function icon(name: IconName): SVGElement {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}
