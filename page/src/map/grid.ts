/** The raster's own grid as projection and tile grid of the map. */

import Projection from "ol/proj/Projection";
import TileGrid from "ol/tilegrid/TileGrid";
import type { Extent, Raster } from "../api/types";

export const TILE_PX = 256;
const METRES_PER_DEGREE = 111_320;

export function projectionOf(raster: Raster): Projection {
  const isDegrees = raster.crs?.units === "degrees";
  const middle = (raster.extent[1] + raster.extent[3]) / 2;
  const metres = isDegrees ? METRES_PER_DEGREE * Math.cos((middle * Math.PI) / 180) : metresPerUnit(raster);
  return new Projection({
    code: `raster:${raster.id}`,
    units: raster.crs ? "m" : "pixels",
    metersPerUnit: metres,
    extent: raster.extent,
    getPointResolution: (resolution) => resolution,
  });
}

function metresPerUnit(raster: Raster): number {
  return raster.pixel_m ? raster.pixel_m / pixelSize(raster) : 1;
}

/** Return the size of a pixel in units of the map. */
export function pixelSize(raster: Raster): number {
  return (raster.extent[2] - raster.extent[0]) / raster.width;
}

export function tileGridOf(raster: Raster): TileGrid {
  const pixel = pixelSize(raster);
  const resolutions = Array.from({ length: raster.levels }, (_, z) => pixel * 2 ** (raster.levels - 1 - z));
  return new TileGrid({
    extent: raster.extent,
    origin: [raster.extent[0], raster.extent[3]],
    resolutions,
    tileSize: TILE_PX,
  });
}

/** Return the part of an extent that lies in the raster; the whole raster where none does. */
export function withinRaster(raster: Raster, extent: number[]): Extent {
  const [left, bottom, right, top] = raster.extent;
  const inside: Extent = [
    Math.max(left, extent[0] ?? left),
    Math.max(bottom, extent[1] ?? bottom),
    Math.min(right, extent[2] ?? right),
    Math.min(top, extent[3] ?? top),
  ];
  return inside[0] < inside[2] && inside[1] < inside[3] ? inside : raster.extent;
}
