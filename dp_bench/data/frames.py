"""The HDF5 file of images that belong to demonstrations and lie apart from them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dp_bench.data.deferred_errors import DeferredErrorFile
from dp_bench.data.demos import Demos
from dp_bench.data.hdf5_files import Unusable, opened
from dp_bench.data.images import LazyImages, episode_sha256, is_images, lazy_images
from dp_bench.errors import BadInput
from dp_bench.util import settings
from dp_bench.util.files import atomic_write

if TYPE_CHECKING:
    import h5py

FORMAT, FORMAT_VERSION = "dp_bench.frames", 1  # every file names them
SUFFIX = ".frames.hdf5"
SHA256 = "sha256"  # attribute of a dataset: the digest of its images
# A PushT frame of 27 kB packs to 1 kB, one of Can to 13 kB. Reading a packed frame at
# random takes 0.03 ms, and writing it 0.05 to 0.3 ms. LZF is faster for Can only, and
# half as dense for PushT.
COMPRESSION = {"compression": "gzip", "compression_opts": 1}


class FramesAbout(NamedTuple):
    """What a frames file says about itself.

    Attributes:
        demos: Digest of the demonstrations that the images belong to.
        digest: Digest of all images and of `demos`.
        keys: Keys of the images.
    """

    demos: str
    digest: str
    keys: tuple[str, ...]


def path_of(demos_file: Path, digest: str = "") -> Path:
    """Returns the path of the frames file beside a file of demonstrations.

    Args:
        demos_file: The file of demonstrations, there or not.
        digest: Digest of the demonstrations; "" for those that were imported, which
            have one frames file for each source.
    """
    ending = f"-{digest[:12]}" if digest else ""
    return demos_file.with_name(f"{demos_file.stem}{ending}{SUFFIX}")


def save(path: Path, demos: Demos, episodes: Iterable[Mapping[str, np.ndarray]]) -> str:
    """Writes the images of every step to a frames file, atomically.

    Each episode is a group `data/demo_k` with a dataset `obs/<key>` for each key, in
    chunks of one frame.

    Args:
        path: The file.
        demos: The demonstrations that the images belong to.
        episodes: The images of each episode by key, uint8 `(L, height, width, 3)`, in
            order. One episode at a time is held in memory.

    Returns:
        The digest of the file.

    Raises:
        BadInput: When the images do not fit the demonstrations, or the file cannot be
            written.
    """
    import h5py

    with (
        atomic_write(path) as aside,
        contextlib.closing(DeferredErrorFile(aside)) as target,
    ):
        with h5py.File(target, "w") as file:
            digest = _write(file.create_group("data"), demos, episodes, target)
        target.check()
    return digest


def about(path: Path) -> FramesAbout:
    """Reads what a frames file says about itself, and no images.

    Raises:
        BadInput: When the file is missing, damaged, or no frames file.
    """
    with _reading(path) as data:
        return _about(data)


def digest_of(path: Path) -> str:
    """Returns the digest of a frames file, without reading an image.

    Raises:
        BadInput: As `about` does.
    """
    return about(path).digest


def digest_for(demos: Demos) -> str:
    """Returns the digest of the frames file of demonstrations; "" if there is none."""
    for key in sorted(demos.apart):
        images = demos.obs[key]
        if isinstance(images, LazyImages):
            return digest_of(images.path)
    return ""


def attach(demos: Demos, path: Path, keys: Sequence[str]) -> Demos:
    """Adds images of a frames file to the observations; reads no image.

    Args:
        demos: All demonstrations that the file belongs to.
        path: The frames file.
        keys: Keys of the images.

    Returns:
        The demonstrations, with `LazyImages` under the keys, and the keys in `apart`.

    Raises:
        BadInput: When the file is missing, damaged, or of other demonstrations, or
            lacks a key.
    """
    with _reading(path, _command(demos)) as data:
        found = _about(data)
        if found.demos != demos.digest:
            raise BadInput(
                f"{path} holds images of other demonstrations (digest "
                f"{found.demos[:12]}, and not {demos.digest[:12]}): delete it, and "
                f"make them with `{_command(demos)}`"
            )
        missing = [key for key in keys if key not in found.keys]
        if missing:
            raise BadInput(
                f"{path} has no images under the key {missing[0]!r}; its keys are "
                f"{', '.join(found.keys)}: delete it, and make them with "
                f"`{_command(demos)}`"
            )
        images = {key: _lazy(path, data, demos, key) for key in keys}
    return dataclasses.replace(
        demos, obs={**demos.obs, **images}, apart=demos.apart | set(keys)
    )


def check(demos: Demos, episodes: Sequence[int] | None = None) -> None:
    """Reads all images of episodes once, and compares them with their digests.

    Args:
        demos: Demonstrations with images of a frames file.
        episodes: Numbers of the episodes; None for all.

    Raises:
        BadInput: When the images are not those that were written.
    """
    numbers = range(demos.num_episodes) if episodes is None else episodes
    for key in sorted(demos.apart):
        images = demos.obs[key]
        if isinstance(images, LazyImages):
            for k in numbers:
                images.read_episode(int(k))


def _write(
    data: h5py.Group,
    demos: Demos,
    episodes: Iterable[Mapping[str, np.ndarray]],
    target: DeferredErrorFile,
) -> str:
    shapes: dict[str, tuple[int, ...]] = {}
    digests: list[dict[str, str]] = []
    for images in episodes:
        k = len(digests)
        if k == demos.num_episodes:
            raise BadInput(
                f"there are images of more episodes than the {k} demonstrations"
            )
        shapes = shapes or {key: array.shape[1:] for key, array in images.items()}
        _check_images(k, images, int(demos.lengths[k]), shapes)
        digests.append({})
        for key, array in images.items():
            dataset = data.create_dataset(
                f"demo_{k}/obs/{key}",
                data=array,
                chunks=(1, *array.shape[1:]),
                **COMPRESSION,
            )
            dataset.attrs[SHA256] = digests[k][key] = episode_sha256(array)
        target.check()
    if len(digests) < demos.num_episodes:
        raise BadInput(
            f"there are images of {len(digests)} episodes, and demonstrations of "
            f"{demos.num_episodes}"
        )
    digest = _digest(demos.digest, shapes, digests)
    data.attrs["format"] = FORMAT
    data.attrs["format_version"] = FORMAT_VERSION
    data.attrs["task"] = demos.task
    data.attrs["source"] = demos.source
    data.attrs["demos_digest"] = demos.digest
    data.attrs["keys"] = json.dumps(sorted(shapes))
    data.attrs["digest"] = digest
    return digest


def _check_images(
    k: int,
    images: Mapping[str, np.ndarray],
    steps: int,
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Refuses images of one episode that are not like those of the others."""
    if not images or set(images) != set(shapes):
        raise BadInput(
            f"episode {k} must have images {', '.join(shapes) or 'in every step'}, and "
            f"has {', '.join(images) or 'none'}"
        )
    for key, array in images.items():
        if not is_images(array) or array.shape != (steps, *shapes[key]):
            raise BadInput(
                f"images {key!r} of episode {k} must be uint8 of shape "
                f"{(steps, *shapes[key])}, and are {array.dtype} {array.shape}"
            )


def _digest(
    demos: str,
    shapes: Mapping[str, tuple[int, ...]],
    digests: Sequence[Mapping[str, str]],
) -> str:
    """SHA-256 of all images and of the digest of their demonstrations.

    Args:
        demos: That digest.
        shapes: `(height, width, 3)` by key.
        digests: Those of the images of each episode, by key.
    """
    content = [demos, {key: list(map(int, shapes[key])) for key in shapes}, *digests]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def _reading(
    path: Path, command: str = "dp-bench demos render TASK"
) -> Iterator[h5py.Group]:
    """Opens a frames file, and turns every fault into one sentence."""
    remedy = f"delete it, and make it again with `{command}`"
    if not path.is_file():
        raise BadInput(f"{path} is not a file: make it with `{command}`")
    try:
        with opened(path) as file:
            data = file.get("data")
            if data is None or data.attrs.get("format") != FORMAT:
                raise Unusable(f"{path} is no frames file of dp-bench: {remedy}")
            yield data
    except BadInput:
        raise
    except Exception as error:  # h5py raises errors of many types
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(
            f"{path} is truncated or damaged ({reason}): {remedy}"
        ) from error


def _about(data: h5py.Group) -> FramesAbout:
    """Reads the attributes, and checks that they fit those of all datasets."""
    version = data.attrs["format_version"]
    if version != FORMAT_VERSION:
        raise BadInput(
            f"{data.file.filename} has format version {version}, not "
            f"{FORMAT_VERSION}; {settings.UPDATE}"
        )
    keys = tuple(map(str, json.loads(data.attrs["keys"])))
    groups = [data[f"demo_{k}/obs"] for k in range(len(data))]
    shapes = {key: groups[0][key].shape[1:] for key in keys}
    digests = [{key: str(group[key].attrs[SHA256]) for key in keys} for group in groups]
    demos, digest = str(data.attrs["demos_digest"]), str(data.attrs["digest"])
    if _digest(demos, shapes, digests) != digest:
        raise ValueError("its digest is not that of its images")
    return FramesAbout(demos, digest, keys)


def _lazy(path: Path, data: h5py.Group, demos: Demos, key: str) -> LazyImages:
    """Refers to the images under a key, which must be one for each step."""
    groups = [data[f"demo_{k}"] for k in range(demos.num_episodes)]
    images = lazy_images(path, groups, f"obs/{key}")
    lengths = [part.rows for part in images.parts]
    if len(data) != len(groups) or lengths != demos.lengths.tolist():
        raise ValueError("its episodes have other lengths")
    parts = tuple(
        part._replace(sha256=str(group[f"obs/{key}"].attrs[SHA256]))
        for part, group in zip(images.parts, groups, strict=True)
    )
    return dataclasses.replace(images, parts=parts)


def _command(demos: Demos) -> str:
    return f"dp-bench demos render {demos.task} --source {demos.source}"
