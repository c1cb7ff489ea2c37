"""Open layers in QGIS and print how it shows each, as JSON; run by the system's Python, which has QGIS."""

import json
import os
import sys

from qgis.core import QgsApplication, QgsRasterLayer, QgsSymbol, QgsVectorLayer


def look(path):
    if path.endswith(".tif"):
        layer = QgsRasterLayer(path, "layer")
        renderer = layer.renderer()
        classes = getattr(renderer, "classes", list)()
        shown = [[one.value, one.label, one.color.name()] for one in classes]
        symbols = []
        legend = [[text, color.name()] for text, color in renderer.legendSymbologyItems()]
    else:
        layer = QgsVectorLayer(path, "layer", "ogr")
        renderer = layer.renderer()
        classes = getattr(renderer, "categories", list)()
        shown = [[one.value(), one.label(), one.symbol().color().name()] for one in classes]
        kinds = {QgsSymbol.Marker: "marker", QgsSymbol.Fill: "fill"}
        symbols = [kinds[one.symbol().type()] for one in classes]
        legend = []
    return {
        "is_valid": layer.isValid(),
        "renderer": renderer.type(),
        "classes": shown,
        "symbols": symbols,
        "legend": legend,
    }


application = QgsApplication([], False)
application.initQgis()
sys.stdout.write(json.dumps([look(path) for path in sys.argv[1:]]) + "\n")
sys.stdout.flush()
# QGIS may crash when Python takes it down.
os._exit(0)
