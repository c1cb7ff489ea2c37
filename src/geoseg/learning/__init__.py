"""Learning without torch: validation, calibration, class prior, normalisation and the model record."""
