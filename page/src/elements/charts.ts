/** Small charts as SVG. */

import type { CurvePoint, Histogram } from "../api/types";
import { svg } from "./dom";
import { percent } from "./numbers";

const WIDTH = 272;

/** Return the learning curve: mean IoU, with its interval, against the number of points. */
export function curveChart(points: CurvePoint[]): SVGElement {
  const height = 120;
  const [left, right, top, bottom] = [34, 8, 8, 22];
  const most = Math.max(...points.map((point) => point.count), 1);
  const x = (value: number) => left + ((WIDTH - left - right) * value) / most;
  const y = (share: number) => top + (height - top - bottom) * (1 - share);
  const line = points.map((point) => `${x(point.count)},${y(point.miou)}`).join(" ");
  const last = points[points.length - 1];
  const label = last
    ? `Learning curve: mean IoU ${percent(last.miou)} with ${last.count} points`
    : "Learning curve without points";
  return svg(
    "svg",
    { class: "chart", role: "img", "aria-label": label, viewBox: `0 0 ${WIDTH} ${height}` },
    ...[0, 0.5, 1].flatMap((share) => [
      svg("line", { class: "grid", x1: left, x2: WIDTH - right, y1: y(share), y2: y(share) }),
      svg("text", { x: left - 5, y: y(share) + 4, "text-anchor": "end" }, percent(share)),
    ]),
    ...points
      .filter((point) => point.low !== null && point.high !== null)
      .map((point) =>
        svg("line", {
          class: "interval",
          x1: x(point.count),
          x2: x(point.count),
          y1: y(point.low ?? 0),
          y2: y(point.high ?? 0),
        }),
      ),
    svg("polyline", { class: "curve", points: line }),
    ...points.map((point) => svg("circle", { class: "dot", cx: x(point.count), cy: y(point.miou), r: 3 })),
    svg("text", { x: x(most), y: height - 6, "text-anchor": "end" }, `${most} points`),
    svg("text", { x: left, y: height - 6 }, "0"),
  );
}

/** Return the histogram of a band; the range that is shown is dark. */
export function histogramChart(histogram: Histogram, low: number, high: number): SVGElement {
  const height = 44;
  const most = Math.max(...histogram.counts, 1);
  const step = WIDTH / histogram.counts.length;
  const value = (bin: number) =>
    histogram.low + ((histogram.high - histogram.low) * (bin + 0.5)) / histogram.counts.length;
  return svg(
    "svg",
    { class: "chart histogram", viewBox: `0 0 ${WIDTH} ${height}`, "aria-hidden": "true" },
    ...histogram.counts.map((amount, bin) => {
      const tall = height * Math.sqrt(amount / most); // the root keeps rare values visible
      return svg("rect", {
        class: value(bin) >= low && value(bin) <= high ? "inside" : "outside",
        x: bin * step,
        y: height - tall,
        width: step * 0.9,
        height: tall,
      });
    }),
  );
}
