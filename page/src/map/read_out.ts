/** What the map says about the pixel under the pointer. */

import type OlMap from "ol/Map";
import { readPixel } from "../api/client";
import type { Pixel, Raster } from "../api/types";
import { percent, short } from "../elements/numbers";
import { activeRaster, className, type Store } from "../state/store";

const REST_MS = 120;

export class ReadOut {
  private timer = 0;
  private request: AbortController | null = null;

  constructor(
    private readonly map: OlMap,
    private readonly store: Store,
    private readonly output: HTMLElement,
  ) {
    map.on("pointermove", (event) => {
      if (!event.dragging) this.rest(event.coordinate);
    });
    map.on("click", (event) => this.rest(event.coordinate));
  }

  /** Read the pixel in the middle of the map, for users of the keyboard. */
  readCentre(): void {
    const centre = this.map.getView().getCenter();
    if (centre) this.rest(centre);
  }

  private rest(coordinate: number[]): void {
    window.clearTimeout(this.timer);
    this.request?.abort();
    this.timer = window.setTimeout(() => void this.read(coordinate), REST_MS);
  }

  private async read([x = 0, y = 0]: number[]): Promise<void> {
    const raster = activeRaster(this.store.now);
    const [left, bottom, right, top] = raster.extent;
    if (x < left || x >= right || y <= bottom || y > top) {
      this.output.textContent = "Outside the raster";
      return;
    }
    this.request = new AbortController();
    try {
      const pixel = await readPixel(raster.id, x, y, this.request.signal);
      this.output.textContent = this.describe(raster, pixel, x, y);
    } catch {
      // The pointer has moved on, or the banner of the connection says what is wrong.
    }
  }

  private describe(raster: Raster, pixel: Pixel, x: number, y: number): string {
    const digits = raster.crs?.units === "degrees" ? 6 : 1;
    const place = raster.crs ? `${x.toFixed(digits)}, ${y.toFixed(digits)}` : `row ${pixel.row}, col ${pixel.col}`;
    const values = pixel.bands.map(({ value }) => (value === null ? "–" : short(value))).join(" ");
    const parts = [place, pixel.bands.every(({ value }) => value === null) ? "no data" : `bands ${values}`];
    if (pixel.class_id !== null) {
      const confidence = pixel.confidence === null ? "" : ` ${percent(pixel.confidence)}`;
      parts.push(`${className(this.store.now, pixel.class_id)}${confidence}`);
    }
    return parts.join("   ·   ");
  }
}
