"""The package is complete without its checkout."""

import configparser
import functools
import sys
import sysconfig
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from commands import run as run_command

# No folder of ours may lend its packages.
run = functools.partial(run_command, without=("PYTHONPATH",), COLUMNS="200")

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"dp_bench": "dp_bench", "envs": "dp_bench.envs"}
FOLDERS["baselines"] = "dp_bench.baselines"


def test_setup_lists_every_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    packages = set()
    for folder, name in FOLDERS.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            below = init.parent.relative_to(ROOT / folder).parts
            packages.add(".".join([name, *below]))
    assert listed == packages


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    missing = [name for name in ("pip", "setuptools") if not find_spec(name)]
    if missing:
        pytest.skip(f"building a wheel needs {' and '.join(missing)}")
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-index"),
        *("--no-build-isolation", "--wheel-dir", folder, ROOT),
        cwd=folder,
    )
    (path,) = folder.glob("*.whl")
    return path


def test_a_wheel_holds_scenes_published_values_and_the_type_marker(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"dp_bench/py.typed", "dp_bench/reports/published.csv"} <= names
    scenes = [name for name in names if name.startswith("dp_bench/envs/assets/")]
    assert len(scenes) == len(list((ROOT / "envs" / "assets").iterdir())) > 0


@pytest.mark.slow
def test_a_wheel_benchmarks_blockpush_in_an_empty_folder(wheel, tmp_path):
    environment, empty = tmp_path / "environment", tmp_path / "empty"
    empty.mkdir()
    venv.create(environment, with_pip=False, symlinks=True)
    variables = {"base": str(environment), "platbase": str(environment)}
    site = Path(sysconfig.get_path("purelib", vars=variables))
    # The path alone: an editable installation in it stays invisible.
    (site / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = environment / "bin" / "python"
    pip = (python, "-m", "pip", "install", "-q", "--no-deps", "--no-index")
    run(*pip, "--ignore-installed", wheel, cwd=empty)
    place = run(python, "-c", "import dp_bench; print(dp_bench.__file__)", cwd=empty)
    assert Path(place.strip()).is_relative_to(environment)
    words = ("compare", "--task", "blockpush", "--preset", "smoke", "--methods", "bet")
    printed = run(environment / "bin" / "dp-bench", *words, cwd=empty)
    assert "BET" in printed
    table = (empty / "runs/results/blockpush/scripted-20/table.md").read_text()
    assert "published" in table
    assert "0.96" in table  # BET's published p1
