"""The places of training points come back from their compact form, and are found again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from geoseg.domain.training_places import TrainingPlaces, near, near_degrees, read_places, rounding


def test_places_come_back_to_their_step_whatever_their_order():
    lon_lat = np.array([[-84.5, 33.75], [179.9999, -60.0], [-84.5000001, 33.75]])
    pixels = {"a": np.array([[0.0, 3.5], [200.25, 1.0]])}

    record = json.loads(json.dumps(TrainingPlaces("hash", 3, lon_lat, pixels).to_record()))
    places = read_places(record)

    assert (places.sha256, places.points) == ("hash", 3)
    assert sorted(map(tuple, places.lon_lat.round(7).tolist())) == sorted(map(tuple, lon_lat.tolist()))
    assert sorted(map(tuple, places.pixels["a"].tolist())) == [(0.0, 3.5), (200.25, 1.0)]


def test_no_places_are_kept_too():
    places = read_places(TrainingPlaces("", 0).to_record())

    assert places.lon_lat.shape == (0, 2)
    assert not near_degrees(places.lon_lat, np.array([[1.0, 2.0]]), 10).any()


def test_twenty_thousand_places_take_less_than_150_kilobytes_and_millions_are_kept_coarsely():
    rng = np.random.default_rng(0)
    lon_lat = np.array([-84.5, 33.75]) + rng.random((20_000, 2)) * 0.1
    every_pixel = np.stack(np.meshgrid(np.arange(600.0), np.arange(600.0)), axis=-1).reshape(-1, 2) * 1e-5

    record = TrainingPlaces("", 20_000, lon_lat, step=1e-6).to_record()
    dense = read_places(TrainingPlaces("", 360_000, every_pixel).to_record())

    assert len(json.dumps(record)) < 150_000
    assert len(json.dumps(dense.to_record())) < 400_000
    assert near(dense.lon_lat, np.array([[0.003, 0.002]]), 1e-5).all()


def test_a_damaged_record_is_an_error():
    record = TrainingPlaces("", 1, np.array([[1.0, 2.0]])).to_record()
    for spoilt in (
        {},
        {**record, "lon_lat": {}},
        {**record, "lon_lat": {**record["lon_lat"], "cells": "????"}},
    ):
        with pytest.raises(ValueError, match=r"."):
            read_places(spoilt)


def test_places_are_near_within_metres_also_across_180_degrees():
    known = np.array([[179.99999, 0.0], [10.0, 60.0]])

    # 1e-5 degrees are 1.1 m on the equator, and half as much from west to east at 60 degrees north.
    asked = np.array([[-179.99999, 0.0], [10.00001, 60.0], [10.0, 60.00001], [np.nan, 0.0]])
    assert near_degrees(known, asked, 0.6).tolist() == [False, True, False, False]
    assert near_degrees(known, asked, 2.3).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([500_000.0, 4_000_010.0], 10),
        ([500_000.5, 4_000_010.0], 0.1),
        ([-84.51234, 33.70001], 1e-5),
        ([500_000.123456789, 4.1], 0.0),
        ([np.nan, 3.0], 1),
    ],
)
def test_rounding_is_the_power_of_ten_of_all_values(values, step):
    found = rounding(np.array(values))

    assert found == pytest.approx(step) if step else found <= 1e-6


def test_near_agrees_with_all_distances():
    rng = np.random.default_rng(0)
    known, asked = rng.uniform(0, 10, (200, 3)), rng.uniform(0, 10, (300, 3))
    asked[:3] = np.nan

    found = near(known, asked, 0.8)

    distances = np.linalg.norm(known[None] - asked[:, None], axis=2)
    assert found.tolist() == (distances < 0.8).any(axis=1).tolist()
    assert 10 < found.sum() < 290
    assert not near(known[:0], asked, 1.0).any()
