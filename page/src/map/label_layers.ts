/** The labels and the suggestions as layers of the map. */

import Feature from "ol/Feature";
import OlPoint from "ol/geom/Point";
import VectorLayer from "ol/layer/Vector";
import VectorSource from "ol/source/Vector";
import type { Point } from "../api/types";
import { classOf, type Store } from "../state/store";
import { syncFeatures } from "./features";
import { labelStyle, suggestionStyle } from "./styles";

export class LabelLayer {
  readonly source = new VectorSource();
  readonly layer = new VectorLayer({
    source: this.source,
    zIndex: 10,
    updateWhileInteracting: true,
    style: (feature) => {
      const point = feature.get("point") as Point;
      const color = classOf(this.store.now, point.class_id)?.color ?? null;
      return labelStyle(point, color, this.store.now.selectedPointId === point.id);
    },
  });

  constructor(private readonly store: Store) {}

  show(): void {
    const { points, rasterId } = this.store.now;
    syncFeatures(
      this.source,
      [...points.values()].filter((point) => point.raster === rasterId),
    );
  }
}

export class SuggestionLayer {
  readonly source = new VectorSource();
  readonly layer = new VectorLayer({ source: this.source, zIndex: 11, updateWhileInteracting: true });

  constructor(private readonly store: Store) {}

  show(): void {
    const { suggestions, suggestionId } = this.store.now;
    this.source.clear(true);
    this.source.addFeatures(
      suggestions.map(({ id, x, y, class_id }, place) => {
        const feature = new Feature(new OlPoint([x, y]));
        feature.set("suggestion", id);
        const color = classOf(this.store.now, class_id)?.color ?? null;
        feature.setStyle(suggestionStyle(place + 1, color, id === suggestionId));
        return feature;
      }),
    );
  }
}
