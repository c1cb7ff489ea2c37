"""The local page for labelling, and its HTTP interface."""
