/** Labelling with mouse, finger or keyboard: click, remove, drag, lines and polygons. */

import Collection from "ol/Collection";
import type Feature from "ol/Feature";
import Draw from "ol/interaction/Draw";
import Translate from "ol/interaction/Translate";
import type OlMap from "ol/Map";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import type { Extent, Geometry, Point, Position } from "../api/types";
import type { PointEdits } from "../state/point_edits";
import { activeRaster, type Store } from "../state/store";
import { fromGeometry, toGeometry } from "./features";
import type { LabelLayer, SuggestionLayer } from "./label_layers";

const TOLERANCE_PX = window.matchMedia("(pointer: coarse)").matches ? 12 : 4;

export class Drawing {
  private draw: Draw | null = null;
  private isDrawing = false;

  constructor(
    private readonly map: OlMap,
    private readonly store: Store,
    private readonly edits: PointEdits,
    private readonly layers: { labels: LabelLayer; suggestions: SuggestionLayer },
    private readonly events: { labelled: () => void; tell: (text: string) => void },
  ) {
    this.letDrag();
    map.on("click", (event) => this.click(event as MapBrowserEvent<PointerEvent>));
    map.on("pointermove", (event) => {
      if (!event.dragging) map.getTargetElement()?.classList.toggle("over-label", !!this.hit(event.pixel));
    });
    store.watch(["tool"], () => this.chooseTool());
  }

  /** Label a place with the answer that is active. */
  label(geometry: Geometry): void {
    const { answer, rasterId } = this.store.now;
    if (answer === null) {
      this.events.tell("Add a class first, on the left.");
      return;
    }
    if (!isInside(geometry, activeRaster(this.store.now).extent)) {
      this.events.tell("This place is outside the raster.");
      return;
    }
    const isUnsure = answer === "unsure";
    performance.mark("geoseg:label");
    this.edits.add({
      raster: rasterId,
      geometry,
      class_id: isUnsure ? null : answer,
      unsure: isUnsure,
      source: "clicked",
      role: "train",
    });
    this.events.labelled();
  }

  /** Label the middle of the map, for users of the keyboard. */
  labelCentre(): void {
    const centre = this.map.getView().getCenter();
    if (centre) this.label({ type: "Point", coordinates: centre as Position });
  }

  /** Finish or cancel the line or polygon that is being drawn. */
  finish(): boolean {
    if (!this.draw || !this.isDrawing) return false;
    this.draw.finishDrawing();
    return true;
  }

  cancel(): void {
    this.draw?.abortDrawing();
  }

  private click(event: MapBrowserEvent<PointerEvent>): void {
    if (this.isDrawing) return;
    const hit = this.hit(event.pixel);
    const suggestion = hit?.get("suggestion") as string | undefined;
    const point = hit?.get("point") as Point | undefined;
    if (suggestion) this.store.set({ suggestionId: suggestion });
    else if (point) {
      this.edits.remove(point.id);
      this.events.labelled();
    } else if (this.store.now.tool === "Point") {
      this.label({ type: "Point", coordinates: event.coordinate as Position });
    }
  }

  private hit(pixel: number[]): Feature | undefined {
    const layers: unknown[] = [this.layers.labels.layer, this.layers.suggestions.layer];
    return this.map.forEachFeatureAtPixel(pixel, (feature) => feature as Feature, {
      hitTolerance: TOLERANCE_PX,
      layerFilter: (layer) => layers.includes(layer),
    });
  }

  private letDrag(): void {
    const drag = new Translate({ layers: [this.layers.labels.layer], hitTolerance: TOLERANCE_PX });
    drag.on("translateend", (event) => {
      for (const feature of event.features.getArray()) this.moved(feature as Feature);
    });
    this.map.addInteraction(drag);
  }

  private moved(feature: Feature): void {
    const geometry = feature.getGeometry();
    const point = feature.get("point") as Point;
    if (!geometry) return;
    const moved = fromGeometry(geometry);
    if (JSON.stringify(moved) === JSON.stringify(point.geometry)) return;
    this.edits.update(point.id, { geometry: moved });
    this.events.labelled();
  }

  private chooseTool(): void {
    if (this.draw) this.map.removeInteraction(this.draw);
    this.draw = null;
    this.isDrawing = false;
    const { tool } = this.store.now;
    if (tool === "Point") return;
    const draw = new Draw({
      type: tool,
      features: new Collection<Feature>(),
      condition: (event) => this.isDrawing || !this.hit(event.pixel),
    });
    draw.on("drawstart", () => (this.isDrawing = true));
    draw.on("drawabort", () => (this.isDrawing = false));
    draw.on("drawend", ({ feature }) => {
      // The click that ends the drawing still comes.
      window.setTimeout(() => (this.isDrawing = false));
      const geometry = feature.getGeometry();
      if (geometry) this.label(fromGeometry(geometry));
    });
    this.map.addInteraction(draw);
    this.draw = draw;
  }
}

function isInside(geometry: Geometry, [left, bottom, right, top]: Extent): boolean {
  const [x0, y0, x1, y1] = toGeometry(geometry).getExtent() as Extent;
  return x0 >= left && x1 < right && y0 > bottom && y1 <= top;
}
