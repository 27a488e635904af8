"""Damaged demonstrations of every format, and the commands that read them."""

import dataclasses
import shutil

import numpy as np

from dp_bench.data import frames, hdf5
from dp_bench.data.demos import Demos
from fuzz import containers, damage
from fuzz.damage import pick
from made_up_images import pushing

STEPS = (24, 20, 26)
ENDS = np.cumsum(STEPS)
ROWS = int(ENDS[-1])
# Learned from in a moment.
TINY = {
    "dp_c": (
        "policy.channels=8,16", "policy.groups=8", "policy.step_dim=8",
        "policy.sample_steps=2",
    ),
    "bet": ("policy.width=8", "policy.heads=2", "policy.layers=1", "policy.clusters=2"),
    "lstm_gmm": ("policy.hidden=8", "policy.layers=1"),
}  # fmt: skip
# OpenMP cannot start threads in a process that was forked after torch had some.
UPDATES = (
    *("training.updates=2", "training.batch_size=4", "training.validate_every=1"),
    "training.threads=1",
)


def write_ours(folder):
    """Demonstrations of PushT in the format of dp-bench."""
    hdf5.save(our_demos(), folder / "demos.hdf5")


def our_demos():
    """Demonstrations of PushT with images, notes and other actions."""
    rng = np.random.default_rng(0)

    def walk(width):
        steps = rng.normal(size=(ROWS, width)).cumsum(0)
        return np.clip(steps * 10 + 256, 10, 500).astype(np.float32)

    obs = {"keypoints": walk(20), "state": walk(5)}
    obs["image"] = rng.integers(0, 255, (ROWS, 8, 8, 3), np.uint8)
    actions = walk(2)
    return Demos(
        task="pusht",
        source="mine",
        obs=obs,
        actions=actions,
        states=obs["state"],
        rewards=np.zeros(ROWS),
        scores=np.full(len(STEPS), 0.5),
        episode_ends=ENDS,
        env_kwargs={"obs": "keypoints", "legacy": False},
        notes={"env_seed": np.arange(3)},
        actions_as={"velocity": actions - obs["state"][:, :2]},
        last_obs={kind: array[ENDS - 1] for kind, array in obs.items()},
    )


def write_frames(folder):
    """Demonstrations of PushT, and their images apart from them."""
    seen = pushing(STEPS)
    bare = {key: array for key, array in seen.obs.items() if key != "image"}
    demos = dataclasses.replace(seen, source="mine", obs=bare)
    hdf5.save(demos, folder / "demos.hdf5")
    images = np.split(seen.obs["image"], ENDS[:-1])
    frames.save(
        frames.path_of(folder / "pusht-mine.hdf5", demos.digest),
        demos,
        ({"image": episode} for episode in images),
    )


def write_zarr(folder):
    """A replay buffer of PushT, as it is published."""
    import zarr

    demos = our_demos()
    group = zarr.open_group(str(folder / "replay.zarr"), mode="w")
    arrays = {
        "action": demos.actions,
        "state": demos.obs["state"],
        "keypoint": np.asarray(demos.obs["keypoints"])[:, :18].reshape(-1, 9, 2),
    }
    for name, array in arrays.items():
        chunks = (32, *array.shape[1:])
        group.create_dataset(f"data/{name}", data=array, chunks=chunks)
    group.create_dataset("meta/episode_ends", data=ENDS)
    zarr.convenience.consolidate_metadata(str(folder / "replay.zarr"))


def write_npz(folder):
    """Demonstrations of BlockPush, as `numpy.savez` writes them."""
    rng = np.random.default_rng(0)
    np.savez(
        folder / "demos.npz",
        obs=rng.uniform(-0.3, 0.3, (ROWS, 16)).astype(np.float32),
        action=rng.uniform(-0.02, 0.02, (ROWS, 2)).astype(np.float32),
        episode_ends=ENDS,
    )


def write_kitchen_npz(folder):
    """Demonstrations of Kitchen, as `numpy.savez` writes them."""
    state, action = kitchen_arrays()
    np.savez(folder / "demos.npz", state=state, action=action, episode_ends=ENDS)


def kitchen_arrays():
    rng = np.random.default_rng(0)
    state = rng.uniform(-0.3, 0.3, (ROWS, 59)).astype(np.float32)
    return state, rng.uniform(-1, 1, (ROWS, 9)).astype(np.float32)


def write_minari(folder):
    """A Minari data set of Kitchen."""
    import h5py

    state, action = kitchen_arrays()
    (folder / "set" / "data").mkdir(parents=True)
    with h5py.File(folder / "set" / "data" / "main_data.hdf5", "w") as file:
        for k, end in enumerate(ENDS):
            rows = slice(end - STEPS[k], end)
            last = state[end - 1 : end]
            group = file.create_group(f"episode_{k}")
            seen = np.concatenate([state[rows], last])
            group["observations/observation"] = seen
            group["actions"] = action[rows]
            group["rewards"] = np.zeros(STEPS[k])


def write_robomimic(folder):
    """A file of robomimic for Lift, with a mask."""
    from dp_bench.envs.robomimic.env import Lift, shared_env
    from robomimic_envs import recorded_moves, write_as_robomimic

    shared_env(Lift)  # takes a second, which every forked process then saves
    write_as_robomimic(recorded_moves(), folder / "demos.hdf5")


def copied(rng, template, place):
    """Copies a template; sometimes its name is odd."""
    target = place / "input"
    shutil.copytree(template, target)
    return target


def _renamed(rng, file):
    """Sometimes gives a file an odd name."""
    if rng.random() < 0.05:
        odd = pick(rng, ("two\nlines", "\x1b[31mred", "a b", "[x](y)", "\udcff", "-x"))
        return file.rename(file.with_name(odd))
    return file


def _path_damage(rng, file, place):
    """Sometimes replaces a file by a link, a pipe, a folder or nothing."""
    if rng.random() < 0.04:
        damage.path(rng, file, place / "home" / "secret")
        return True
    return False


def train_words(rng, task, file, source=None):
    """A training of a moment, with demonstrations of a file."""
    method = pick(rng, list(TINY))
    settings = [*UPDATES, *TINY[method]]
    words = ["train", "--task", task, "--method", method, "--demos", str(file)]
    words += ["--source", source] if source else []
    more = ["--preset", "smoke", "--episodes", "1", "--device", "cpu"]
    return [*words, *more, "--set", *settings]


def commands(rng, task, file, source, place, *, trains, checks=True):
    """A command that reads demonstrations, and the folders that it may write."""
    from_source = ["--source", source] if source else []
    file = str(file)
    kind = int(rng.integers(12))
    if trains and kind < 1:
        own = [place / "work" / "runs", place / "data"]
        return train_words(rng, task, file, source), own
    if checks and kind < 3:
        return ["demos", "check", file, "--task", task, *from_source], []
    words = ["demos", "get", task, "--from", file, *from_source]
    return words, [place / "data"]


def make_ours(rng, template, place):
    file = copied(rng, template, place) / "demos.hdf5"
    if not _path_damage(rng, file, place):
        sign = rng.random() < 0.8
        containers.hdf5_file(rng, file, place / "home" / "secret", sign)
        file = _renamed(rng, file)
    return commands(rng, "pusht", file, None, place, trains=True)


def make_frames(rng, template, place):
    folder = copied(rng, template, place)
    (file,) = folder.glob(f"*{frames.SUFFIX}")
    file = file.rename(place / "data" / file.name)  # where dp-bench keeps it
    if not _path_damage(rng, file, place):
        containers.hdf5_file(rng, file, place / "home" / "secret", False)
    words = train_words(rng, "pusht", folder / "demos.hdf5")
    at = words.index("--demos")
    own = [place / "work" / "runs", place / "data"]
    return [*words[:at], "--obs", "image", *words[at:]], own


def make_zarr(rng, template, place):
    folder = copied(rng, template, place) / "replay.zarr"
    if not _path_damage(rng, folder, place):
        containers.zarr_folder(rng, folder, place / "home" / "secret")
        folder = _renamed(rng, folder)
    return commands(rng, "pusht", folder, "human", place, trains=True)


def make_zip(rng, template, place):
    folder = copied(rng, template, place) / "replay.zarr"
    if rng.random() < 0.6:
        containers.zarr_folder(rng, folder, place / "home" / "secret")
        for file in folder.rglob("*"):
            if not file.is_file() and not file.is_dir():
                file.unlink()
    file = _renamed(rng, _zip(rng, folder))
    return commands(rng, "pusht", file, "human", place, trains=True)


def _zip(rng, folder):
    file = folder.with_name("replay.zip")
    containers.zipped(rng, folder, file)
    return file


def make_npz(task, source, trains):
    """A kind of npz file."""

    def make(rng, template, place):
        file = copied(rng, template, place) / "demos.npz"
        if not _path_damage(rng, file, place):
            containers.npz_file(rng, file)
            file = _renamed(rng, file)
        if task == "blockpush" and rng.random() < 0.1:
            shutil.copy(template.parent / "blockpush-scripted.hdf5", place / "data")
            words = ["demos", "compare", task, "--against", str(file)]
            own = [place / "work" / "results"]
            return [*words, "--other", source], own
        return commands(rng, task, file, source, place, trains=trains, checks=trains)

    return make


def write_block_push(folder):
    """The npz file, and demonstrations of a script to compare it with."""
    from dp_bench import registry
    from dp_bench.data import readers

    write_npz(folder)
    task = registry.task("blockpush")
    demos = readers.read(folder / "demos.npz", task, "published")
    scripted = dataclasses.replace(demos, source="scripted", actions=demos.actions / 2)
    hdf5.save(scripted, folder.parent / "blockpush-scripted.hdf5")


def make_minari(rng, template, place):
    folder = copied(rng, template, place) / "set"
    file = folder / "data" / "main_data.hdf5"
    if not _path_damage(rng, file, place):
        containers.hdf5_file(rng, file, place / "home" / "secret", False, root="/")
    named = pick(rng, (folder, folder / "data", file))
    words = ["demos", "get", "kitchen", "--from", str(named), "--source"]
    return [*words, "complete-v2"], [place / "data"]


def make_robomimic(rng, template, place):
    file = copied(rng, template, place) / "demos.hdf5"
    if not _path_damage(rng, file, place):
        containers.hdf5_file(rng, file, place / "home" / "secret", False, root="/")
        file = _renamed(rng, file)
    words, own = commands(rng, "lift", file, "ph", place, trains=False)
    if rng.random() < 0.3:
        words += ["--mask", pick(rng, ("better", "worse", "../x", "demo_0"))]
    return words, own
