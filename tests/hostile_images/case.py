"""One image of the corpus."""

from __future__ import annotations

Case = tuple[str, bytes, bool]
"""Name, bytes, and whether it may be taken (some readers forgive, or it is a fair image within the limits)."""
