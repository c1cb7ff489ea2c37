"""A service as examples write it: one Flask handler that runs the network on one request at a time."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
from engine import Plain
from PIL import Image

from geoseg.workflows.devices import choose_device, choose_precision
from geoseg.learning.model_file import read_model


def serve_plainly(model_path: Path, precision: str, port: str) -> None:
    """Serve as examples do: one handler, one network, one request at a time."""
    from flask import Flask, Response, request

    model, device = read_model(model_path), choose_device("auto")
    predictor = (
        Plain(model, device)
        if precision == "float32"
        else _SamePrecision(model, device, choose_precision("auto", device))
    )
    app, lock, colors = Flask(__name__), threading.Lock(), model.record.legend.rgb

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

    app.run(port=int(port), threaded=True)


class _SamePrecision(Plain):
    """The network as scripts call it, but in the service's precision and memory layout."""

    def __init__(self, model: object, device: str, precision: str) -> None:
        import torch

        super().__init__(model, device)
        self._network = self._network.to(memory_format=torch.channels_last)
        self._is_bf16 = precision == "bf16"

    def probabilities(self, pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Predict."""
        import torch

        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._is_bf16):
            return super().probabilities(pixels, valid)
