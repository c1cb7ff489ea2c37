/** The map: its layers, its view of one raster at a time, and what it tells the rest of the page. */

import { defaults as defaultControls, ScaleLine } from "ol/control";
import { defaults as defaultInteractions } from "ol/interaction";
import OlMap from "ol/Map";
import View from "ol/View";
import type { Extent, Geometry } from "../api/types";
import { debounced } from "../elements/timing";
import { activeRaster, type Store } from "../state/store";
import { toGeometry } from "./features";
import { pixelSize, projectionOf, withinRaster } from "./grid";
import { ImageLayer } from "./image_layer";
import { LabelLayer, SuggestionLayer } from "./label_layers";
import { PredictionLayer } from "./prediction_layer";

const CLOSEST_PX = 16; // pixels of the screen per pixel of the raster

export class LabelMap {
  readonly map: OlMap;
  readonly labels: LabelLayer;
  readonly suggestions: SuggestionLayer;
  readonly prediction: PredictionLayer;
  private readonly image: ImageLayer;
  private shownRasterId = "";
  private readonly viewed: (() => void)[] = [];

  constructor(
    target: HTMLElement,
    private readonly store: Store,
  ) {
    this.image = new ImageLayer(store);
    this.prediction = new PredictionLayer(store);
    this.labels = new LabelLayer(store);
    this.suggestions = new SuggestionLayer(store);
    this.map = new OlMap({
      target,
      layers: [this.image.layer, this.prediction.layer, this.labels.layer, this.suggestions.layer],
      controls: defaultControls({ attribution: false, rotate: false, zoom: true }).extend([new ScaleLine()]),
      // A double click is two points; zoom with the wheel, two fingers, or + and -.
      interactions: defaultInteractions({ doubleClickZoom: false, altShiftDragRotate: false, pinchRotate: false }),
      moveTolerance: 4,
    });
    const later = debounced(250, () => this.viewed.forEach((run) => run()));
    this.map.on("moveend", later);
    this.follow();
  }

  /** Call a function when the user has moved the view and stopped. */
  onViewed(run: () => void): void {
    this.viewed.push(run);
  }

  /** Return the part of the raster that is in the window, in map coordinates. */
  extent(): Extent {
    return withinRaster(activeRaster(this.store.now), this.map.getView().calculateExtent(this.map.getSize()));
  }

  /** Move the view to a label or a place, and close enough to recognise it. */
  goTo(geometry: Geometry): void {
    const near = pixelSize(activeRaster(this.store.now));
    const view = this.map.getView();
    const shape = toGeometry(geometry);
    if ((view.getResolution() ?? near) > near || shape.getType() !== "Point")
      view.fit(shape.getExtent(), { minResolution: near, duration: 250, padding: [80, 80, 80, 80] });
    else view.animate({ center: shape.getExtent().slice(0, 2), duration: 250 });
  }

  showAll(): void {
    this.map.getView().fit(activeRaster(this.store.now).extent, { padding: [16, 16, 16, 16] });
  }

  private follow(): void {
    const { store } = this;
    store.watch(["rasterId", "project"], () => this.showRaster());
    store.watch(["status"], () => {
      const raster = activeRaster(store.now);
      this.image.previewChanged(raster, store.now.status?.previews[raster.id] ?? true);
    });
    store.watch(["model", "view", "isPredictionShown", "opacity", "swipe"], () => this.showPrediction());
    store.watch(["points", "rasterId"], () => this.labels.show());
    store.watch(["selectedPointId", "project"], () => this.labels.layer.changed());
    store.watch(["suggestions", "suggestionId", "project"], () => this.suggestions.show());
  }

  private showRaster(): void {
    const raster = activeRaster(this.store.now);
    const isNew = this.shownRasterId !== raster.id;
    const projection = isNew ? projectionOf(raster) : this.map.getView().getProjection();
    this.image.show(raster, projection);
    this.prediction.show(raster, projection);
    if (!isNew) return;
    this.shownRasterId = raster.id;
    const pixel = pixelSize(raster);
    this.map.setView(
      new View({
        projection,
        center: [(raster.extent[0] + raster.extent[2]) / 2, (raster.extent[1] + raster.extent[3]) / 2],
        minResolution: pixel / CLOSEST_PX,
        maxResolution: pixel * 2 ** raster.levels,
        extent: margin(raster.extent),
        smoothExtentConstraint: true,
        enableRotation: false,
      }),
    );
    this.showAll();
  }

  private showPrediction(): void {
    this.prediction.show(activeRaster(this.store.now), this.map.getView().getProjection());
    this.markDrawn();
  }

  /** Say in the page which model is on the screen, once all its tiles are drawn. */
  private markDrawn(): void {
    const { model } = this.store.now;
    const target = this.map.getTargetElement();
    if (!model || !target || target.dataset["model"] === String(model.revision)) return;
    this.map.once("rendercomplete", () => {
      if (this.store.now.model !== model) return;
      target.dataset["model"] = String(model.revision);
      const { unsent, revision } = this.store.now;
      const knowsAllLabels = unsent === 0 && model.points_revision >= revision;
      if (!knowsAllLabels || !performance.getEntriesByName("geoseg:label").length) return;
      performance.measure("geoseg:label-to-map", "geoseg:label");
      performance.clearMarks("geoseg:label");
    });
  }
}

function margin([left, bottom, right, top]: Extent): Extent {
  const [x, y] = [(right - left) / 2, (top - bottom) / 2];
  return [left - x, bottom - y, right + x, top + y];
}
