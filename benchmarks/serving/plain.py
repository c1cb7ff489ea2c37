"""A service as examples write it: one Flask handler that runs the network on one request at a time."""

from __future__ import annotations

import io
import threading

import numpy as np
from flask import Flask, Response, request
from PIL import Image

from geoseg.domain.ports import Predictor


def serve_plainly(predictor: Predictor, colors: np.ndarray, port: int) -> None:
    """Serve class maps in these colours (C, 3)."""
    app, lock = Flask(__name__), threading.Lock()

    @app.get("/")
    def alive() -> str:
        return "ok"

    @app.post("/predict")
    def predict() -> Response:
        image = np.asarray(Image.open(request.files["file"].stream).convert("RGB"), np.float32)
        pixels = np.ascontiguousarray(np.moveaxis(image, -1, 0))[None]
        with lock:
            found = predictor.probabilities(pixels, np.ones(pixels[:, 0].shape, bool))
        png = io.BytesIO()
        Image.fromarray(colors[found[0].argmax(axis=0)]).save(png, "PNG")
        return Response(png.getvalue(), mimetype="image/png")

    app.run(port=port, threaded=True)
