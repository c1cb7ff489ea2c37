/** Keep the vector features of the map equal to the points of the page. */

import Feature from "ol/Feature";
import LineString from "ol/geom/LineString";
import type OlGeometry from "ol/geom/Geometry";
import OlPoint from "ol/geom/Point";
import Polygon from "ol/geom/Polygon";
import VectorSource from "ol/source/Vector";
import type { Geometry, Point, Position } from "../api/types";

export function toGeometry(geometry: Geometry): OlGeometry {
  if (geometry.type === "Point") return new OlPoint(geometry.coordinates);
  if (geometry.type === "LineString") return new LineString(geometry.coordinates);
  return new Polygon(geometry.coordinates);
}

export function fromGeometry(geometry: OlGeometry): Geometry {
  if (geometry instanceof OlPoint) return { type: "Point", coordinates: geometry.getCoordinates() as Position };
  if (geometry instanceof LineString)
    return { type: "LineString", coordinates: geometry.getCoordinates() as Position[] };
  return { type: "Polygon", coordinates: (geometry as Polygon).getCoordinates() as Position[][] };
}

/** Change the features of a source to these points; only those that differ are touched. */
export function syncFeatures(source: VectorSource, points: Iterable<Point>): void {
  const wanted = new Map([...points].map((point) => [point.id, point]));
  for (const feature of source.getFeatures()) {
    if (!wanted.has(String(feature.getId()))) source.removeFeature(feature);
  }
  const added: Feature[] = [];
  for (const [id, point] of wanted) {
    const feature = source.getFeatureById(id) as Feature | null;
    if (!feature) added.push(newFeature(id, point));
    else if (feature.get("point") !== point) {
      feature.set("point", point);
      feature.setGeometry(toGeometry(point.geometry));
    }
  }
  source.addFeatures(added);
}

function newFeature(id: string, point: Point): Feature {
  const feature = new Feature({ geometry: toGeometry(point.geometry), point });
  feature.setId(id);
  return feature;
}
