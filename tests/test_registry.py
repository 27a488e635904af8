"""Tasks and methods of other packages: installed, listed, checked and compared."""

import dataclasses
import os
import shutil
import subprocess
import sys
import types
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from commands import run

from dp_bench import cli, registry, testing
from dp_bench.envs import TASKS
from dp_bench.errors import BadInput
from dp_bench.evaluation.samplers import combinations
from dp_bench.horizons import Horizons
from dp_bench.method import Method, Sampler
from dp_bench.policies.diffusion.config import UnetDiffusionConfig
from dp_bench.policies.diffusion.policy import UnetDiffusion
from dp_bench.registry import METHODS
from dp_bench.task import Task

PACKAGE = Path(__file__).parent / "plugin_package"
TASK = Task(
    name="stack",
    env_id="someones/Stack-v0",
    entry_point="someones:Stack",
    about="",
    max_steps=1,
    score="someones:score",
)


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Runs Python with the package installed and returns what it printed."""
    missing = [name for name in ("pip", "setuptools") if not find_spec(name)]
    if missing:
        pytest.skip(f"installing needs {' and '.join(missing)}: install the dev extra")
    folder = tmp_path_factory.mktemp("plugin")
    site = folder / "site"
    # built from a copy: setuptools writes beside the sources
    shutil.copytree(PACKAGE, folder / "source")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir"]
    pip = [sys.executable, "-m", "pip", "install", "-q", *offline]
    run(*pip, "--target", site, folder / "source", cwd=folder)

    def python(*words, cwd=folder):
        path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
        return run(*(sys.executable, *words), cwd=cwd, PYTHONPATH=path, COLUMNS="200")

    return python


def test_an_installed_task_and_policy_are_listed(python):
    shown = python("-m", "dp_bench", "list")
    for name in ("reach", "mean_action", "Mean action", *TASKS, *METHODS):
        assert name in shown


def test_listing_an_installed_policy_does_not_load_it(python):
    code = (
        "import sys; from dp_bench import registry; "
        "assert 'reach' in registry.tasks() and 'mean_action' in registry.methods(); "
        "print(sorted({'torch', 'reach_plugin.mean_action'} & set(sys.modules)))"
    )
    assert python("-c", code).strip() == "[]"


def test_an_installed_task_and_policy_keep_the_contracts(python):
    code = """
import tempfile
from pathlib import Path
from dp_bench import testing

for check in testing.TASK_CHECKS:
    check("reach")
for check in testing.POLICY_CHECKS:
    with tempfile.TemporaryDirectory() as folder:
        check("mean_action", Path(folder))
print(len(testing.TASK_CHECKS) + len(testing.POLICY_CHECKS), "passed")
"""
    checks = len(testing.TASK_CHECKS) + len(testing.POLICY_CHECKS)
    assert f"{checks} passed" in python("-W", "error::UserWarning", "-c", code)


@pytest.mark.slow
def test_an_installed_policy_is_compared_with_ours_on_an_installed_task(
    python, tmp_path
):
    demos = tmp_path / "reach.hdf5"
    python(
        "-c",
        "from dp_bench.data import hdf5; from reach_plugin.reach import demonstrate; "
        f"hdf5.save(demonstrate(20), {str(demos)!r})",
    )
    checked = python("-m", "dp_bench", "demos", "check", demos, "--task", "reach")
    assert "20 reach their recorded score" in checked
    words = ["--task", "reach", "--methods", "mean_action", "dp_c", "--preset", "smoke"]
    words += ["--demos", demos, "--device", "cpu", "--runs", "runs"]
    shown = python("-m", "dp_bench", "compare", *words, cwd=tmp_path)
    for part in ("Mean action", "(DP-C)", "final distance"):
        assert part in shown
    assert (tmp_path / "runs/results/reach/table.md").read_text().count("Mean action")
    assert len(list((tmp_path / "runs/results/reach/records").iterdir())) == 2


@pytest.mark.slow
def test_methods_learn_from_images_on_an_installed_task(python, tmp_path):
    """The environment has no argument `obs`, and shows images and a vector."""
    words = ["--task", "look", "--methods", "bet", "mean_action", "--preset", "smoke"]
    words += ["--device", "cpu", "--runs", "runs"]
    words += ["--set", "mean_action:vision.encoder=cnn", "bet:policy.clusters=4"]
    code = (
        "import os, sys; os.environ['DP_BENCH_DATA'] = 'data'; "
        "from dp_bench.cli import main; sys.argv[1:] = "
        + repr(["compare", *words])
        + "; main()"
    )
    shown = python("-c", code, cwd=tmp_path)
    assert "observation pixels" in shown
    assert "BET" in shown
    assert "Mean action" in shown


@pytest.fixture
def installed(monkeypatch):
    """Pretends that an entry point is installed, and has the tables read again."""
    module = types.ModuleType("someones")
    monkeypatch.setitem(sys.modules, "someones", module)

    def installed(group, name, value, member=None):
        module.MEMBER = member
        points = [EntryPoint(name, value, group)]
        monkeypatch.setattr(
            registry,
            "entry_points",
            lambda *, group: [p for p in points if p.group == group],
        )
        forget()

    yield installed
    forget()


def forget():
    registry.tasks.cache_clear()
    registry.methods.cache_clear()
    registry.samplers.cache_clear()


def test_an_installed_task_comes_after_ours(installed):
    installed("dp_bench.tasks", "stack", "someones:MEMBER", TASK)
    assert [*registry.tasks()] == [*TASKS, "stack"]
    assert registry.task("stack") is TASK
    with pytest.raises(BadInput, match="did you mean 'stack'"):
        registry.task("stakc")


def straight_to_the_middle(path, noise, calls):
    """A sampler that needs no network: half of the last of its normal tensors."""
    return [0.5 * x for x in noise][-1]


def test_an_installed_sampler_decides(installed):
    """It is one function, in a package of its own."""
    ours = Sampler("middle", "someones:middle", ("ddpm",), draws_each_call=True)
    installed("dp_bench.samplers", "middle", "someones:MEMBER", ours)
    sys.modules["someones"].middle = straight_to_the_middle
    config = UnetDiffusionConfig(
        horizons=Horizons(2, 4, 8), channels=(16, 32), sampler="middle", sample_steps=3
    )
    policy = UnetDiffusion(config, obs_dim=3, action_dim=2).eval()
    policy.fit(torch.randn(20, 3), torch.randn(20, 2), torch.Generator())
    generator = torch.Generator().manual_seed(5)
    last = torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(5))[-1]
    decided = policy.decide(torch.zeros(1, 2, 3), [generator], [None])
    torch.testing.assert_close(decided[0], 0.5 * last[1:5])
    assert "middle" in {name for name, _ in combinations(policy, (), (4,))}
    with pytest.raises(BadInput, match="flow needs the sampler heun or euler, got 'mi"):
        dataclasses.replace(config, objective="flow")


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (
            lambda path, noise, calls: next(noise)[:, :3],
            r"shape \(1, 8, 2\), got \(1, 3",
        ),
        (
            lambda path, noise, calls: None,
            r"return actions of shape .* got <class 'NoneType'>",
        ),
        (lambda path, noise, calls: [next(noise), next(noise)], "more noise than it"),
    ],
)
def test_a_sampler_that_breaks_its_contract_is_named(installed, sampler, message):
    ours = Sampler("middle", "someones:middle", ("ddpm",))
    installed("dp_bench.samplers", "middle", "someones:MEMBER", ours)
    sys.modules["someones"].middle = sampler
    config = UnetDiffusionConfig(
        horizons=Horizons(2, 4, 8), channels=(16, 32), sampler="middle", sample_steps=3
    )
    policy = UnetDiffusion(config, obs_dim=3, action_dim=2).eval()
    with pytest.raises(BadInput, match=f"sampler 'middle' .*{message}"):
        policy.sample(torch.zeros(1, 2, 3), torch.zeros(1, 1, 8, 2))


def test_a_sampler_that_is_missing_is_refused_before_training(installed):
    ours = Sampler("middle", "someones:missing", ("ddpm", "mip"))
    installed("dp_bench.samplers", "middle", "someones:MEMBER", ours)
    UnetDiffusionConfig(objective="mip", sampler="ddim")  # it draws no noise
    config = UnetDiffusionConfig(channels=(16, 32), sampler="middle")
    with pytest.raises(BadInput, match="someones:missing cannot be loaded"):
        UnetDiffusion(config, obs_dim=3, action_dim=2)


def left_out(kind, name, match):
    """Reads a table; the named member is warned about, and refused when asked for."""
    table = registry.tasks if kind is Task else registry.methods
    find = registry.task if kind is Task else registry.method
    with pytest.warns(registry.LeftOut, match=match):
        members = table()
    ours = TASKS if kind is Task else METHODS
    assert [*members] == [*ours]
    if name not in ours:
        with pytest.raises(BadInput, match=match) as caught:
            find(name)
        assert str(caught.value).startswith(f"{kind.__name__.lower()} {name!r} cannot")
    for each in ours:
        assert find(each).name == each


@pytest.mark.parametrize(
    "value", ["no_such_package:TASK", "someones:NO_SUCH_NAME", "leaves:TASK"]
)
def test_a_broken_entry_point_is_left_out_and_refused_by_name(
    installed, value, tmp_path, monkeypatch
):
    (tmp_path / "leaves.py").write_text("raise SystemExit('no licence')")
    monkeypatch.syspath_prepend(tmp_path)
    installed("dp_bench.tasks", "stack", value)
    left_out(Task, "stack", rf"'stack' .*group 'dp_bench\.tasks', {value}")


def test_two_packages_with_one_name_are_both_left_out(installed, monkeypatch):
    installed("dp_bench.tasks", "stack", "someones:MEMBER", TASK)
    points = [EntryPoint("stack", "someones:MEMBER", "dp_bench.tasks")] * 2
    monkeypatch.setattr(
        registry, "entry_points", lambda *, group: points if "tasks" in group else []
    )
    left_out(Task, "stack", "one of 2 with this name")


@pytest.mark.parametrize(
    ("group", "member", "wanted"),
    [
        ("dp_bench.tasks", Task, "must be a Task, and is a type"),
        ("dp_bench.tasks", METHODS["dp_c"], "must be a Task, and is a Method"),
        ("dp_bench.policies", TASK, "must be a Method, and is a Task"),
    ],
)
def test_an_entry_point_of_a_wrong_type_is_named(installed, group, member, wanted):
    installed(group, "stack", "someones:MEMBER", member)
    kind = Task if group == "dp_bench.tasks" else Method
    left_out(kind, "stack", f"'stack' .*'{group}', someones:MEMBER. {wanted}")


@pytest.mark.parametrize("name", ["pusht", "reach"])
def test_an_entry_point_cannot_take_or_change_a_name(installed, name):
    installed("dp_bench.tasks", name, "someones:MEMBER", TASKS["pusht"])
    left_out(Task, name, f"entry point '{name}' .* names 'pusht'")


def test_methods_have_titles_and_keep_their_order():
    assert registry.title_of("dp_c") == "Diffusion Policy, CNN (DP-C)"
    names = sorted(registry.methods(), key=registry.position_of)
    assert names == list(registry.methods())


def test_a_variant_is_a_method_that_follows_its_own():
    flow = registry.method("dp_c-flow")
    assert registry.title_of("dp_c-flow") == flow.title == "DP-C, flow"
    assert flow.policy == registry.method("dp_c").policy
    place = registry.position_of
    assert place("dp_c") < place("dp_c-flow") < place("dp_t") < place("dp_t-mip")
    assert "dp_c-flow" not in registry.methods()
    with pytest.raises(BadInput, match="no method 'bet-flow'"):
        registry.method("bet-flow")


def test_methods_on_request_are_compared_only_if_named():
    usual = registry.usual_methods()
    assert set(registry.methods()) - set(usual) == {"dp_mlp"}
    assert usual[:5] == ("dp_c", "dp_t", "lstm_gmm", "ibc", "bet")


def test_an_unknown_method_is_its_own_title_and_comes_last():
    assert registry.title_of("nobody_knows") == "nobody_knows"
    last = max(map(registry.position_of, registry.methods()))
    assert registry.position_of("nobody_knows") > last


def test_a_method_cannot_take_the_name_of_ours(installed):
    other = Method(name="dp_c", title="Another", policy="someones:Policy")
    installed("dp_bench.policies", "dp_c", "someones:MEMBER", other)
    left_out(Method, "dp_c", "entry point 'dp_c'")


def test_a_broken_package_stops_only_commands_that_ask_for_it(installed, capsys):
    installed("dp_bench.tasks", "stack", "no_such_package:TASK")
    cli.main(["list"])
    out, err = capsys.readouterr()
    assert all(name in out for name in TASKS)
    assert err.startswith("dp-bench: entry point 'stack'")
    assert err.count("\n") == 1
    assert "mend or uninstall the package" in err
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--task", "stack"])
    assert ended.value.code == 2
    assert "task 'stack' cannot be used" in capsys.readouterr().err


def test_the_warning_about_a_broken_package_names_the_package(tmp_path):
    """A real distribution: its metadata, found on the path like any installed one."""
    info = tmp_path / "broken_robot-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-robot\n")
    (info / "entry_points.txt").write_text("[dp_bench.policies]\nours = nowhere:M\n")
    words = [sys.executable, "-m", "dp_bench", "list"]
    done = subprocess.run(
        words,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "package 'broken-robot'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_method_whose_code_is_missing_is_refused_in_a_sentence(installed, capsys):
    other = Method(name="ours", title="Ours", policy="nowhere:P", presets="nowhere:T")
    installed("dp_bench.policies", "ours", "someones:MEMBER", other)
    with pytest.raises(SystemExit) as ended:
        cli.main(["list", "--method", "ours"])
    assert ended.value.code == 2
    assert "nowhere:T cannot be loaded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metadata", "points"),
    [
        (b"Name: broken-robot\n", b"[dp_bench.tasks]\nno equals sign\n"),
        (b"Name: broken-robot\n", b"[dp_bench.tasks]\nstack = \xff\xfe\n"),
        (b"Name: \xff\xfe\n", b"[dp_bench.tasks]\nstack = nowhere:TASK\n"),
    ],
    ids=["no pair", "no UTF-8", "no name"],
)
def test_damaged_metadata_leave_one_package_out(
    tmp_path, monkeypatch, capsys, metadata, points
):
    info = tmp_path / "broken_robot-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_bytes(b"Metadata-Version: 2.1\n" + metadata)
    (info / "entry_points.txt").write_bytes(points)
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    try:
        cli.main(["list"])
    finally:
        monkeypatch.undo()
        forget()
    out, err = capsys.readouterr()
    assert all(name in out for name in TASKS)
    assert "package" in err
    assert err.count("\n") == 1  # though tasks and methods are looked up apart
