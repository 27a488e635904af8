"""Every example runs as a user would run it, and the texts show the examples."""

import csv
import os
import re
import shlex
import sys
import sysconfig
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest
from commands import run

from dp_bench.cli.app import parse
from dp_bench.errors import BadInput
from made_up import written_run

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def position_run(tmp_path_factory):
    return written_run(tmp_path_factory.mktemp("runs") / "position").path


@pytest.fixture(scope="module")
def velocity_run(tmp_path_factory):
    return written_run(
        tmp_path_factory.mktemp("runs") / "velocity", control="velocity"
    ).path


@pytest.mark.parametrize("run_folder", ["position_run", "velocity_run"])
def test_the_agent_loop_plays_in_the_environment_of_its_run(
    run_folder, request, tmp_path
):
    folder = request.getfixturevalue(run_folder)
    printed = run(sys.executable, EXAMPLES / "agent_loop.py", folder, cwd=tmp_path)
    assert re.search(r"best reward \d\.\d\d", printed)
    assert run_folder.removesuffix("_run") in printed


def test_the_vector_environment_plays_eight_episodes(position_run, tmp_path):
    script = EXAMPLES / "vector_env.py"
    assert "8 episodes" in run(sys.executable, script, position_run, cwd=tmp_path)


def test_a_policy_in_any_code_is_compared_with_recorded_results():
    printed = run(sys.executable, EXAMPLES / "own_actor.py", cwd=ROOT)
    assert "minus DP-C" in printed


def test_own_demonstrations_can_be_imported(tmp_path):
    run(sys.executable, EXAMPLES / "own_demos.py", "mine.hdf5", cwd=tmp_path)
    words = ["demos", "get", "pusht", "--from", "mine.hdf5"]
    printed = run(
        sys.executable,
        *("-m", "dp_bench"),
        *words,
        cwd=tmp_path,
        DP_BENCH_DATA=str(tmp_path),
    )
    assert "3 episodes" in printed


def test_another_tool_reads_exported_episodes(tmp_path):
    pytest.importorskip("robostats", reason="needs robostats, and so Python 3.11")
    words = ("export", ROOT / "results" / "pusht", "--form", "csv", "--out", "pusht")
    run(sys.executable, "-m", "dp_bench", *words, cwd=tmp_path)
    script = EXAMPLES / "other_tools.py"
    printed = run(sys.executable, script, "pusht/episodes.csv", cwd=tmp_path)
    with open(tmp_path / "pusht" / "episodes.csv", encoding="utf-8") as file:
        assert printed.strip() == f"{len(list(csv.DictReader(file)))} episodes"


def test_the_gallery_draws_a_task(tmp_path):
    from dp_bench.envs.opengl import opengl_works

    if not opengl_works():
        pytest.skip("rendering MuJoCo needs OpenGL")
    pytest.importorskip("robosuite")
    pytest.importorskip("gymnasium_robotics")
    run(sys.executable, EXAMPLES / "task_gallery.py", "tasks.png", cwd=tmp_path)
    assert (tmp_path / "tasks.png").stat().st_size > 50_000


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A new virtual environment that sees the packages of this one."""
    missing = [name for name in ("pip", "setuptools") if not find_spec(name)]
    if missing:
        pytest.skip(f"installing a package needs {' and '.join(missing)}")
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    ours, theirs = (
        sysconfig.get_path("purelib", vars=variables)
        for variables in (None, {"base": str(folder), "platbase": str(folder)})
    )
    Path(theirs, "ours.pth").write_text(
        f"import site; site.addsitedir({ours!r})\n", encoding="utf-8"
    )
    bin_folder = folder / "bin"
    for command, module in (("pip", "pip"), ("dp-bench", "dp_bench")):
        script = bin_folder / command
        script.write_text(f'#!/bin/sh\nexec python -m {module} "$@"\n')
        script.chmod(0o755)
    return folder


def test_the_package_is_installed_checked_and_compared(environment, tmp_path):
    """Runs `run.sh` and the package's own tests in a copy of the examples."""
    import shutil

    shutil.copytree(EXAMPLES / "my-robot", tmp_path / "my-robot")
    variables = {
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as: no isolation
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    printed = run(
        *("sh", "-e", "my-robot/run.sh"), cwd=tmp_path, **variables, COLUMNS="200"
    )
    assert "20 reach their recorded score" in printed
    assert (tmp_path / "runs/results/slide/table.md").is_file()
    python = environment / "bin" / "python"
    tests = "my-robot/tests"
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, cwd=tmp_path)


# ---- Texts


def commands_of(page):
    """Every `dp-bench ...` line of the shell blocks of a page, as words."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "dp-bench":
                yield words[1:]


def test_every_command_in_the_texts_is_one_that_the_program_takes():
    pages = [*PAGES, ROOT / "CONTRIBUTING.md", *(ROOT / "results").rglob("README.md")]
    number = 0
    for page in pages:
        for words in commands_of(page):
            number += 1
            try:
                parse(words)
            except (SystemExit, BadInput) as error:
                pytest.fail(f"{page.name}: dp-bench {' '.join(words)}: {error}")
    assert number > 30


def test_code_in_the_readme_is_an_example():
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    files = {path.read_text() for path in EXAMPLES.rglob("*.py")}
    assert blocks
    assert [block for block in blocks if block not in files] == []


def test_every_example_is_shown_or_named():
    text = "\n".join(page.read_text() for page in PAGES)
    for path in EXAMPLES.rglob("*.*"):
        if path.suffix in (".py", ".sh", ".toml"):
            name = path.relative_to(ROOT).as_posix()
            assert name in text or path.name == "task_gallery.py", name


def test_the_manual_holds_code_only_as_an_example():
    for page in PAGES[1:]:
        for block in re.findall(
            r"```(?:python|toml)\n(.*?)```", page.read_text(), re.DOTALL
        ):
            assert block.startswith("--8<-- "), f"{page.name}: {block[:60]}"


def test_links_in_the_readme_lead_somewhere():
    text = (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\(([^)#]+)", text):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link


def test_a_ray_cluster_gets_the_whole_package():
    """rsync leaves out a folder at any depth unless its name begins with a slash."""
    text = (EXAMPLES / "ray-cluster.yaml").read_text(encoding="utf-8")
    (excluded,) = re.findall(r"^rsync_exclude: \[(.*)\]$", text, re.MULTILINE)
    names = excluded.split(", ")
    assert all(name.startswith("/") for name in names), names
    assert not {name.strip("/") for name in names} & {"dp_bench", "envs", "baselines"}
