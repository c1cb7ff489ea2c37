"""One file per verb; each connects the rooms below and computes nothing itself."""
