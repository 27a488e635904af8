"""A made-up folder of results that the tests of pages show."""

import dataclasses
from pathlib import Path

import numpy as np

from dp_bench.evaluation import films
from dp_bench.evaluation.films import Film
from dp_bench.evaluation.records import append
from dp_bench.runs.folder import RunFolder
from dp_bench.util import jsonl
from made_up import run_info
from made_up_records import episodes, training, with_digests

SCRIPT = "<script>document.title='hit'</script>"
SCORES = {
    "alpha": [[0.9, 0.8, 0.95, 0.7, 0.9, 0.85], [0.95, 0.85, 0.9, 0.75, 0.9, 0.9]],
    "beta": [[0.1, 0.2, 0.05, 0.65, 0.3, 0.2], [0.15, 0.2, 0.1, 0.7, 0.2, 0.25]],
    "gamma": [[0.9, 1.0, 0.7, 0.9, 0.8, 1.0], [0.7, 0.5, 0.6, 0.8, 0.6, 0.6]],
}


def results(root: Path) -> Path:
    """Writes results of three methods on a task that is not installed.

    Names of a sub-score, a variant and a processor hold a script.
    """
    folder = root / "reach"
    digest = with_digests(episodes())[0].demos_digest
    records = []
    for method, scores in SCORES.items():
        info = run_info(
            task="reach", method=method, obs_kind="state", demos_digest=digest
        )
        for seed in (0, 1):
            trained = dataclasses.replace(info, train_seed=seed)
            _write_run(folder, trained)
        for step in (50, 100):
            scale = step / 100
            records += episodes(
                method,
                (scale * np.array(scores)).tolist(),
                settings=info.settings,
                step=step,
                sub_scores={SCRIPT: 0.5},
                variant=f"plain {SCRIPT}",
                split_digest=info.split_digest,
                versions={"numpy": SCRIPT},
            )
    append(folder / "records" / "all.jsonl", with_digests(records))
    return folder


def add_films(folder: Path, env_seed: int) -> list[Film]:
    """Writes a film of one start for each method, one second long."""
    from imageio.v2 import get_writer, imwrite

    place = folder / films.FOLDER
    place.mkdir()
    made = []
    for number, method in enumerate(SCORES):
        digest = with_digests(episodes())[0].demos_digest
        info = run_info(
            task="reach", method=method, obs_kind="state", demos_digest=digest
        )
        image = np.full((64, 64, 3), 80 * number, np.uint8)
        with get_writer(place / f"{method}.mp4", fps=10, codec="libx264") as writer:
            for _ in range(10):
                writer.append_data(image)
        imwrite(place / f"{method}.jpg", image)
        made.append(
            Film(
                run=info.name,
                weights="",
                step=100,
                variant=f"plain {SCRIPT}",
                env_seed=env_seed,
                train_seed=0,
                film=f"{method}.mp4",
                poster=f"{method}.jpg",
                path=((0.1, 0.2), (0.5, 0.6)),
                score=0.5,
                success=False,
                length=7,
            )
        )
    jsonl.append(place / films.INDEX, made)
    return made


def _write_run(folder: Path, info) -> None:
    for name in ("runs", "logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    run = RunFolder(folder / "run")
    run.write_info(info)
    (folder / "run" / "run.json").rename(folder / "runs" / f"{info.name}.json")
    (folder / "run").rmdir()
    jsonl.write(
        folder / "logs" / f"{info.name}.jsonl",
        training(info.train_seed, val_loss=0.3),
    )
