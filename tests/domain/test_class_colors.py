import pytest

from geoseg.domain.class_colors import default_colors

WATER, FOREST, BUILDING, GRASS, CROP = "#2b7fc1", "#1f7a34", "#c8372d", "#a6d96a", "#e8c35a"


@pytest.mark.parametrize(
    ("name", "color"),
    [
        ("water", WATER),
        ("Water bodies", WATER),
        ("Gewässer", WATER),
        ("eau", WATER),
        ("woda", WATER),
        ("Forest", FOREST),
        ("woodland", FOREST),
        ("Nadelwald", FOREST),
        ("Wald", FOREST),
        ("forêt", FOREST),
        ("buildings", BUILDING),
        ("Gebäude", BUILDING),
        ("grassland", GRASS),
        ("Cropland", CROP),
        ("champ", CROP),
        ("research", "#e69f00"),
        ("las", FOREST),
        ("last", "#e69f00"),
    ],
)
def test_a_well_known_name_has_the_colour_that_maps_use(name, color):
    assert default_colors([name]) == [color]


def test_classes_of_one_kind_get_shades_of_their_own():
    colors = default_colors(["deciduous forest", "coniferous forest", "forest", "forest road"])
    assert colors[:3] == ["#1f7a34", "#5fae5b", "#0f4d22"]
    assert len(set(colors)) == 4


def test_other_names_get_colours_of_the_palette_away_from_those_in_use():
    # The first colour of the palette, orange, is near no colour of water; the second, sky blue, is one of its shades.
    assert default_colors(["a", "lake", "river", "b"]) == ["#e69f00", "#2b7fc1", "#6fb7e6", "#009e73"]


def test_as_many_classes_as_a_legend_may_have_differ():
    assert len(set(default_colors([str(n) for n in range(255)]))) == 255
