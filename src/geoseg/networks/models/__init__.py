"""Network architectures, their pretrained weights and the model file."""
