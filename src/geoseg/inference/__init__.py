"""Inference graphs computed by ONNX Runtime or OpenVINO."""
