"""Files of an accuracy assessment: class maps in windows, samples to label, error matrices."""
