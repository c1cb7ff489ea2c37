/** The predicted land cover over the image: classes or confidence, with opacity and swipe. */

import TileLayer from "ol/layer/Tile";
import type Projection from "ol/proj/Projection";
import type RenderEvent from "ol/render/Event";

import { readPredictionTile } from "../api/client";
import type { Raster } from "../api/types";
import type { Store } from "../state/store";
import { TILE_PX, tileGridOf } from "./grid";
import { KeyedTiles } from "./keyed_tiles";

export class PredictionLayer {
  readonly layer = new TileLayer<KeyedTiles>({ visible: false });
  private rasterId = "";
  private missing = 0;
  private retries = 0;
  /** Tiles of the model of now, so that a retry asks only for those that were missing. */
  private readonly ready = new Map<string, ImageBitmap>();
  private readyKey = "";

  constructor(private readonly store: Store) {
    this.layer.on("prerender", (event) => this.clip(event as RenderEvent));
    this.layer.on("postrender", (event) => unclip(event as RenderEvent));
  }

  show(raster: Raster, projection: Projection): void {
    const { model, isPredictionShown, opacity } = this.store.now;
    if (this.rasterId !== raster.id) {
      this.rasterId = raster.id;
      this.layer.setSource(this.source(raster, projection));
    }
    this.layer.setVisible(isPredictionShown && model !== null);
    this.layer.setOpacity(opacity);
    this.layer.getSource()?.useKey(this.key());
    this.layer.changed();
  }

  /** Ask again for the tiles that were not computed when they were asked for. */
  retry(): void {
    if (!this.missing) return;
    this.missing = 0;
    this.retries += 1;
    this.layer.getSource()?.useKey(this.key());
  }

  private key(): string {
    return `${this.contentKey()}/${this.retries}`;
  }

  private contentKey(): string {
    const { model, view } = this.store.now;
    return `${this.rasterId}/${model?.revision}/${view}`;
  }

  private source(raster: Raster, projection: Projection): KeyedTiles {
    return new KeyedTiles({
      projection,
      tileGrid: tileGridOf(raster),
      interpolate: false,
      transition: 0,
      wrapX: false,
      loader: (z, x, y, { signal }) => this.tile(raster.id, z, x, y, signal),
    });
  }

  private async tile(raster: string, z: number, col: number, row: number, signal: AbortSignal) {
    const { model, view } = this.store.now;
    const content = this.contentKey();
    if (this.readyKey !== content) {
      this.ready.clear();
      this.readyKey = content;
    }
    const place = `${z}/${col}/${row}`;
    const known = this.ready.get(place);
    if (known) return known;
    const found = await readPredictionTile({ raster, view, model: model?.revision ?? 0, z, col, row }, signal);
    if (!found) {
      this.missing += 1;
      return emptyTile();
    }
    if (this.readyKey === content) this.ready.set(place, found);
    return found;
  }

  private clip(event: RenderEvent): void {
    const context = event.context as CanvasRenderingContext2D;
    const { swipe } = this.store.now;
    context.save();
    if (swipe === null) return;
    const { width, height } = context.canvas;
    context.beginPath();
    context.rect(width * swipe, 0, width * (1 - swipe), height);
    context.clip();
  }
}

function unclip(event: RenderEvent): void {
  (event.context as CanvasRenderingContext2D).restore();
}

function emptyTile(): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = TILE_PX;
  canvas.height = TILE_PX;
  return canvas;
}
