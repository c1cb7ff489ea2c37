"""Default colours of classes: conventional colours for well-known names, else a colour-blind-safe palette."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, count, pairwise

import numpy as np

# Okabe & Ito (2008), then Paul Tol's "muted" scheme: distinct under the common colour-vision deficiencies.
_PALETTE = (
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499"),
)
_MIN_DISTANCE = 40
"""Colours closer than this in RGB look the same in a small legend."""

# Word stems in English, German, French, Spanish, Italian, Portuguese, Polish and Dutch, with further shades for more
# classes of the same kind. The first match wins, so "wetland" comes before "water".
_WELL_KNOWN: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "wetland marsh swamp feuchtgebiet moor zone_humide marais humedal zona_umida bagn",
        ("#5fa8a0", "#3d8a8f"),
    ),
    (
        (
            "water river lake sea pond ocean wasser gewasser fluss see eau riviere lac agua rio lago acqua fiume woda wody rzeka "
            "jezioro waterloop rivier meer"
        ),
        ("#2b7fc1", "#6fb7e6", "#0b4f8a"),
    ),
    (
        (
            "forest wood tree conifer deciduous wald baum foret bois arbre bosque arbol bosco foresta albero floresta arvore "
            "mata las drzew bos boom"
        ),
        ("#1f7a34", "#5fae5b", "#0f4d22"),
    ),
    ("shrub bush scrub heath strauch gebusch arbust matorral cespugl krzew struik", ("#8a9a3b", "#a8b56a")),
    (
        (
            "grass meadow pasture lawn rangeland gras wiese weide rasen herbe prairie pelouse pasto hierba prado prato pascolo "
            "erba trawa laka pastwisko weiland"
        ),
        ("#a6d96a", "#7fc241", "#c9e8a0"),
    ),
    (
        (
            "crop field farm agricult arable cultivat acker feld landwirtschaft champ cultiv culture campo coltiv agricol "
            "lavoura pole upraw rolnic akker"
        ),
        ("#e8c35a", "#c99a2e", "#f3dd94"),
    ),
    (
        (
            "building house roof built urban gebaude haus dach siedlung bati batiment maison toit edificio casa urban "
            "edific budyn zabudow gebouw"
        ),
        ("#c8372d", "#e5776b", "#8e1f1a"),
    ),
    (
        (
            "road street paved asphalt pavement path strasse weg route rue chemin carretera camino calle strada estrada "
            "drog ulic straat"
        ),
        ("#6e6e6e", "#9a9a9a", "#454545"),
    ),
    ("rail bahn gleis ferroviaire ferrocarril ferrovia kolej spoor", ("#8c5fa8",)),
    ("sand beach strand plage playa spiaggia praia plaza", ("#f2e2b0",)),
    (
        "bare soil barren rock boden kahl fels sol_nu suelo roca suolo solo gleba grond",
        ("#b98b5e", "#8f6a45", "#d6b48f"),
    ),
    (
        "snow ice glacier schnee eis gletscher neige glace nieve hielo neve ghiaccio gelo snieg lod sneeuw",
        ("#dfeef7", "#b9d6ea"),
    ),
    ("cloud wolke nuage nube nuvola nuvem chmur", ("#f7f7f7",)),
    ("shadow schatten ombre sombra ombra cien schaduw", ("#2e2e3a",)),
    (
        "background hintergrund fond fondo sfondo fundo tlo achtergrond other sonstige autre otro altro",
        ("#d0d0d0",),
    ),
)


def default_colors(names: Sequence[str]) -> list[str]:
    """Return a distinct colour ``#rrggbb`` for each class name.

    A name with a well-known word in one of eight languages gets the conventional map colour. Other names get colours
    of a colour-blind-safe palette.

    Example:
        >>> default_colors(["water", "Wald"])
        ['#2b7fc1', '#1f7a34']
    """
    chosen: dict[int, str] = {}
    for position, name in enumerate(names):
        shade = next((one for one in _expected(name) if one not in chosen.values()), None)
        if shade is not None:
            chosen[position] = shade
    palette = _palette()
    for position in range(len(names)):
        if position not in chosen:
            chosen[position] = next(one for one in palette if _is_apart(one, chosen.values()))
    return [chosen[position] for position in range(len(names))]


def _expected(name: str) -> tuple[str, ...]:
    """Return the shades of a well-known name, or an empty tuple."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("ß", "ss").replace("ł", "l"))
    words = re.findall("[a-z]+", "".join(letter for letter in plain if not unicodedata.combining(letter)))
    pairs = [f"{one}_{other}" for one, other in pairwise(words)]
    for stems, shades in _WELL_KNOWN:
        if any(_has_stem(word, stem) for stem in stems.split() for word in (*words, *pairs)):
            return shades
    return ()


def _has_stem(word: str, stem: str) -> bool:
    """Return whether a word begins or ends with a stem; stems of up to three letters must match the word or its plural."""
    is_long = len(stem) > 3
    return word.removesuffix("s") == stem.removesuffix("s") or (
        is_long and (word.startswith(stem) or word.endswith(stem))
    )


def _palette() -> Iterator[str]:
    """Yield an endless sequence of colours; after the palette, hues follow the golden angle and are not colour-blind-safe."""
    return chain(_PALETTE, (_hue((n * 0.61803398875) % 1.0) for n in count(len(_PALETTE))))


def _hue(hue: float) -> str:
    channel = [0.5 + 0.4 * np.cos(2 * np.pi * (hue - shift)) for shift in (0.0, 1 / 3, 2 / 3)]
    return "#" + "".join(f"{round(255 * value):02x}" for value in channel)


def _is_apart(color: str, others: Collection[str]) -> bool:
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    used = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in others]
    # With dozens of classes, no colour is far from all others.
    least = _MIN_DISTANCE if len(used) < len(_PALETTE) else 1
    return not used or bool(np.sqrt(((np.array(used) - rgb) ** 2).sum(axis=1)).min() >= least)
