/** The raster itself, in the bands and the stretch that the user chose. */

import TileLayer from "ol/layer/Tile";
import type Projection from "ol/proj/Projection";

import { imageTileUrl } from "../api/client";
import type { Raster } from "../api/types";
import { activeRaster, type Store } from "../state/store";
import { tileGridOf } from "./grid";
import { KeyedTiles } from "./keyed_tiles";

export class ImageLayer {
  readonly layer = new TileLayer<KeyedTiles>();
  private rasterId = "";
  private hasPreview = true;

  constructor(private readonly store: Store) {}

  show(raster: Raster, projection: Projection): void {
    if (this.rasterId !== raster.id) {
      this.rasterId = raster.id;
      this.layer.setSource(this.source(raster, projection));
    }
    this.layer.getSource()?.useKey(JSON.stringify([raster.display, this.hasPreview]));
  }

  /** Follow the coarse copies of the raster: once they are complete, sharper tiles replace those of now. */
  previewChanged(raster: Raster, hasPreview: boolean): void {
    if (this.hasPreview === hasPreview) return;
    this.hasPreview = hasPreview;
    this.layer.getSource()?.useKey(JSON.stringify([raster.display, hasPreview]));
  }

  private source(raster: Raster, projection: Projection): KeyedTiles {
    const tileGrid = tileGridOf(raster);
    return new KeyedTiles({
      projection,
      tileGrid,
      interpolate: false,
      transition: 0,
      wrapX: false,
      url: (z, x, y) => imageTileUrl(raster.id, activeRaster(this.store.now).display, z, x, y),
    });
  }
}
