"""Choose the defaults of the deep recipe by whole training images left out.

    python benchmarks/deep_choices.py DATA RESULTS [--weights FILE --block-style caffe --bands 1 2 3] [--workers 4] [--options '{"epochs": 1}']

The images of DATA/train.txt are divided into folds. For each fold, budget of points and seed, quick is fitted to points of the
other images, and every variant of deep starts from it; their maps of the fold's images are scored by its masks. The images of
test.txt are not used. Results are written to RESULTS/units as they come, and units that are there are not computed again.
The table adds the confusion matrices of all folds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import accuracy
from geoseg.domain.ports import NullProgress
from geoseg.learning.model_file import pack_model
from geoseg.settings import EvaluateSettings, SampleSettings, TrainSettings
from geoseg.workflows.assessment.evaluate import evaluate
from geoseg.workflows.sample import sample
from geoseg.workflows.training import deep
from geoseg.workflows.training.job import Job, Trained
from geoseg.workflows.training.recipes import fit_heads, load_layers
from geoseg.workflows.training.run_folder import RunFolder
from geoseg.workflows.training.train import model_record
from geoseg.workflows.training.training_data import load_training_data

CONTEXT_PX = 64
TEACHER, BOTH = ("self-training",), ("self-training", "cutmix")
# What is changed of the settings, and the weight of the pairwise term.
VARIANTS: dict[str, tuple[Mapping[str, Any], float]] = {
    "points alone": ({"losses": ()}, 0.0),
    "self-training": ({"losses": TEACHER}, 0.0),
    "self-training, cutmix": ({"losses": BOTH}, 0.0),
    "self-training, affinity 0.03": ({"losses": (*TEACHER, "affinity")}, 0.03),
    "self-training, affinity 0.1": ({"losses": (*TEACHER, "affinity")}, 0.1),
    "self-training, affinity 0.3": ({"losses": (*TEACHER, "affinity")}, 0.3),
    "self-training, cutmix, affinity 0.03": ({"losses": (*BOTH, "affinity")}, 0.03),
    "self-training, cutmix, affinity 0.1": ({"losses": (*BOTH, "affinity")}, 0.1),
    "self-training, cutmix, affinity 0.3": ({"losses": (*BOTH, "affinity")}, 0.3),
    "the same at 0.1, rate 3e-5": ({"losses": (*BOTH, "affinity"), "backbone_rate": 3e-5}, 0.1),
    "the same at 0.1, 24 epochs": ({"losses": (*BOTH, "affinity"), "epochs": 24}, 0.1),
}


@dataclass(frozen=True)
class Unit:
    """One fit of quick, and the variants of deep that start from it.

    Attributes:
        data: Folder of the fold: its train.txt names the images with points, its test.txt those to score.
        result: File to write the confusion matrices to, by variant.
        budget: Points per class, and what they count for: (10, "tile") or (50, "total").
        seed: Seed of the points.
        options: Settings of the training.
    """

    data: Path
    result: Path
    budget: tuple[int, str]
    seed: int
    options: Mapping[str, Any]


def compute(unit: Unit) -> None:
    """Fit, map and score one unit, variant by variant."""
    per_class, scope = unit.budget
    stem = unit.result.with_suffix("")
    found: dict[str, Any] = json.loads(unit.result.read_text()) if unit.result.exists() else {}
    if found.keys() >= {"quick", *VARIANTS}:
        return
    scope_px = {"tile": 256} if scope == "tile" else {}
    points = sample(
        SampleSettings(
            data=unit.data,
            output=stem.with_suffix(".gpkg"),
            split="train",
            per_class=per_class,
            scope=scope,
            seed=unit.seed,
            overwrite=True,
            **scope_px,
        )
    ).output
    settings = TrainSettings(
        data=unit.data,
        points=points,
        output=stem.with_suffix(".geoseg"),
        recipe="deep",
        keep_features=False,
        overwrite=True,
        **unit.options,
    )
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(settings.output))
        job = Job(
            settings,
            load_training_data(settings, stack, NullProgress(), check_share=0.0),
            folder,
            NullProgress(),
        )
        quick = fit_heads(job, load_layers(job))
        found["quick"] = _confusion(job, quick, unit).tolist()
        for name, (changes, affinity) in VARIANTS.items():
            if name not in found:
                deep.AFFINITY = affinity
                own = Job(
                    settings.model_copy(update=dict(changes)), job.training_data, folder, NullProgress()
                )
                found[name] = _confusion(own, deep.fine_tune(own, quick), unit).tolist()
                unit.result.write_text(json.dumps(found))
    print(unit.result.stem, "done", flush=True)


def _confusion(job: Job, trained: Trained, unit: Unit) -> NDArray[np.int64]:
    record = model_record(job.training_data, trained, training={}, context_px=CONTEXT_PX)
    job.settings.output.write_bytes(pack_model(trained.network, record))
    scored = evaluate(EvaluateSettings(subject=job.settings.output, data=unit.data, split="test"))
    return scored.accuracy.confusion


def make_folds(data: Path, results: Path, count: int) -> list[Path]:
    """Write a dataset for each fold of the training images, of links to them, and return the folders."""
    stems = (data / "train.txt").read_text().split()
    order = np.random.default_rng(0).permutation(len(stems))
    folders = []
    for number in range(count):
        left = sorted(stems[k] for k in order[number::count])
        folder = results / f"fold-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("images", "masks", "legend.json"):
            if not (folder / name).is_symlink():
                (folder / name).symlink_to((data / name).resolve())
        (folder / "test.txt").write_text("\n".join(left))
        (folder / "train.txt").write_text("\n".join(s for s in stems if s not in left))
        folders.append(folder)
    return folders


def print_table(results: Path, budgets: list[tuple[int, str]], *, seeds: list[int], folds: int) -> None:
    """Print the mean IoU of each variant, over all folds, by budget and seed."""
    print(f"{'variant':40}" + "".join(f"{p}/{s} seed {d:<3} " for p, s in budgets for d in seeds) + "mean")
    for name in ("quick", *VARIANTS):
        row = [
            _pooled([results / f"units/{p}-{s}-{d}-{f}.json" for f in range(folds)], name)
            for p, s in budgets
            for d in seeds
        ]
        print(f"{name:40}" + "".join(f"{100 * v:<14.2f}" for v in row) + f"{100 * np.mean(row):.2f}")


def _pooled(files: list[Path], name: str) -> float:
    found = [json.loads(file.read_text()) for file in files if file.exists()]
    confusions = [np.array(one[name]) for one in found if name in one]
    return accuracy(np.sum(confusions, axis=0)).miou if len(confusions) == len(files) else float("nan")


def main() -> None:
    """Compute what is missing and print the table; without a dataset, say how to call it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("results", type=Path, nargs="?")
    parser.add_argument("--weights", help="As of geoseg train.")
    parser.add_argument("--block-style", default="pytorch")
    parser.add_argument("--bands", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--budgets", nargs="+", default=["10/tile", "50/total"])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--options", type=json.loads, default={}, help="Other training settings, as JSON.")
    given = parser.parse_args()
    if given.results is None:
        print("Needs a dataset: python benchmarks/deep_choices.py DATA RESULTS")
        return
    budgets = [(int(n), scope) for n, _, scope in (text.partition("/") for text in given.budgets)]
    options = {"weights": given.weights, "block_style": given.block_style, "bands": tuple(given.bands)}
    (given.results / "units").mkdir(parents=True, exist_ok=True)
    units = [
        Unit(
            folder,
            given.results / f"units/{p}-{s}-{seed}-{n}.json",
            (p, s),
            seed,
            {**options, **given.options},
        )
        for seed in given.seeds
        for p, s in budgets
        for n, folder in enumerate(make_folds(given.data, given.results, given.folds))
    ]
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // given.workers)))
    with multiprocessing.get_context("spawn").Pool(given.workers) as pool:
        for _ in pool.imap_unordered(compute, units):
            pass
    print_table(given.results, budgets, seeds=given.seeds, folds=given.folds)


if __name__ == "__main__":
    main()
