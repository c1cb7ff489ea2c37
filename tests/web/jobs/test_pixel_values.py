"""Jobs refuse and warn as the predict workflow does."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from geoseg.web.jobs.running import run_job


@pytest.fixture
def other_depth(raster, write_tiff, tmp_path):
    with rasterio.open(raster) as dataset:
        values = dataset.read().astype(np.uint16) * 40
    return write_tiff(tmp_path / "deep.tif", values, index=2, nodata=0)


def test_values_on_another_scale_fail_the_job_with_the_ranges(place, store, post, other_depth):
    job = post(other_depth)
    run_job(place, job.id)
    failed = store.get(job.id)
    assert (failed.state, failed.problem.slug) == ("failed", "other-values")
    assert "(uint8), got band 1" in failed.problem.detail


def test_who_insists_gets_the_map_and_the_warning_in_the_job(place, store, post, other_depth):
    job = post(other_depth, any_values=True)
    run_job(place, job.id)
    done = store.get(job.id)
    assert done.state == "done"
    assert "another scale" in done.warnings[0]
    assert str(store.folder_of(job.id)) not in done.warnings[0]
