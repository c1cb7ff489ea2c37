"""Parts of self-contained HTML pages: style, tables and pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

from matplotlib.figure import Figure

from geoseg.geodata.outputs.file_kinds import MADE_BY

PAGE_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
.number { font-size: 2rem; font-weight: 700; color: #00665e; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid #d0d0d0; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid #1a1a1a; }
img { max-width: 100%; height: auto; }
footer { margin-top: 3rem; color: #595959; font-size: .9rem; }
"""


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of escaped texts, with its header."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def html_picture(figure: Figure, text: str) -> str:
    """Return a figure as an embedded PNG, with an alternative text."""
    buffer = io.BytesIO()
    figure.savefig(buffer, metadata={"Software": MADE_BY})
    return embedded_png(buffer.getvalue(), text)


def embedded_png(content: bytes, text: str) -> str:
    """Return a PNG as an image of the page, with an alternative text."""
    encoded = base64.b64encode(content).decode("ascii")
    return f'<p><img src="data:image/png;base64,{encoded}" alt="{escape(text)}"></p>'
