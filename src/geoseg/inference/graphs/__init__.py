"""Inference graphs in ONNX: built node by node, without torch."""
