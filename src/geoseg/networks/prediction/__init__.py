"""Class probabilities from a trained network: torch, compiled, ONNX Runtime, OpenVINO, int8."""
