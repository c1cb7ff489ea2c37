/** How labels and suggestions look on the map. */

import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import RegularShape from "ol/style/RegularShape";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import Text from "ol/style/Text";
import type { Point } from "../api/types";

const DARK = "#1d2733";
const UNSURE = "#ffffff";
const known = new Map<string, Style[]>();

/** Styles of a label: filled with the colour of its class; check points are squares, unsure ones have a question mark. */
export function labelStyle(point: Point, color: string | null, isSelected: boolean): Style[] {
  const isSent = point.revision > 0;
  const key = [point.geometry.type, color, point.unsure, point.role, isSent, isSelected].join("/");
  const styles =
    known.get(key) ??
    (point.geometry.type === "Point"
      ? pointStyles(point, color ?? UNSURE, isSelected)
      : outlineStyles(color ?? UNSURE, isSelected));
  known.set(key, styles);
  return styles;
}

function pointStyles(point: Point, color: string, isSelected: boolean): Style[] {
  const fill = new Fill({ color });
  const stroke = new Stroke({ color: "#fff", width: 2 });
  const isSent = point.revision > 0;
  const outer = new Stroke({ color: DARK, width: 1.2, ...(isSent ? {} : { lineDash: [2, 2] }) });
  const shape = (radius: number, options: { fill?: Fill; stroke?: Stroke }) =>
    point.role === "check"
      ? new RegularShape({ points: 4, angle: Math.PI / 4, radius: radius * 1.25, ...options })
      : new CircleStyle({ radius, ...options });
  const styles = [
    new Style({ image: shape(6, { fill, stroke }) }),
    new Style({ image: shape(7.4, { stroke: outer }) }),
  ];
  if (point.unsure) styles.push(new Style({ text: caption("?") }));
  if (isSelected) styles.push(new Style({ image: new CircleStyle({ radius: 14, stroke: new Stroke({ color: "#d9156b", width: 3 }) }) }));
  return styles;
}

// No fill: a click inside a polygon is a new point, a click on its outline removes it.
function outlineStyles(color: string, isSelected: boolean): Style[] {
  return [
    new Style({ stroke: new Stroke({ color: isSelected ? "#d9156b" : "#fff", width: 6 }) }),
    new Style({ stroke: new Stroke({ color: DARK, width: 4.2 }) }),
    new Style({ stroke: new Stroke({ color, width: 3 }) }),
  ];
}

function caption(text: string): Text {
  return new Text({ text, font: "bold 10px system-ui, sans-serif", fill: new Fill({ color: DARK }) });
}

/** Styles of a suggestion: a numbered diamond; the one that is asked now is larger. */
export function suggestionStyle(number: number, color: string | null, isCurrent: boolean): Style[] {
  const radius = isCurrent ? 17 : 12;
  const diamond = new RegularShape({
    points: 4,
    radius,
    fill: new Fill({ color: isCurrent ? "#ffd84d" : "#fffffff0" }),
    stroke: new Stroke({ color: color ?? DARK, width: 3 }),
  });
  const outline = new RegularShape({ points: 4, radius: radius + 2.5, stroke: new Stroke({ color: DARK, width: 1.2 }) });
  return [new Style({ image: diamond, zIndex: isCurrent ? 2 : 1 }), new Style({ image: outline, text: caption(String(number)), zIndex: isCurrent ? 3 : 1 })];
}
