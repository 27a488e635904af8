"""Damage inside HDF5, npz, zarr and safetensors, which keeps the container whole."""

import contextlib
import json
import zipfile

import h5py
import numpy as np

from dp_bench.data import hdf5
from dp_bench.data.hdf5_files import opened
from dp_bench.util.tensors import _checksum
from fuzz import damage
from fuzz.damage import pick


def hdf5_file(rng, path, outside, sign, root="/data"):
    """Damages an item or an attribute of an HDF5 file, and signs it where it can.

    Args:
        path: The file.
        outside: A file of the user, to which links lead.
        sign: Whether to write the checksum of dp-bench anew, as a stranger could.
        root: Group below which items are damaged.
    """
    if rng.random() < 0.3:
        path.write_bytes(damage.bytes_of(rng, path.read_bytes()))
        return
    with h5py.File(path, "r+") as file:
        items = [] if root == "/" else [root]
        file[root].visit(lambda name: items.append(f"{root.rstrip('/')}/{name}"))
        name = pick(rng, items)
        if len(file[name].attrs) and rng.random() < 0.5:
            _damage_attribute(rng, file[name].attrs)
        else:
            _damage_item(rng, file, name, outside)
    if sign:
        _sign(path)


def _sign(path):
    with contextlib.suppress(Exception):
        with opened(path) as file:  # refuses sizes that would take minutes to read
            checksum = hdf5._read(file["data"], path).checksum()
        with h5py.File(path, "r+") as file:
            file["data"].attrs["checksum"] = checksum


def _damage_attribute(rng, attributes):
    name = pick(rng, list(attributes))
    old = attributes[name]
    kind = int(rng.integers(6))
    if kind == 0:
        del attributes[name]
        return
    with contextlib.suppress(ValueError):
        old = json.loads(old) if isinstance(old, str) else old
    if kind < 4 and isinstance(old, (dict, list)):
        new = damage.to_text(damage.json_value(rng, old))
    elif kind == 4:
        new = pick(rng, (b"bytes", np.arange(4), h5py.Empty("f4"), np.array([b"a"])))
    else:
        new = damage.value(rng, old if isinstance(old, (str, int, float)) else None)
    with contextlib.suppress(TypeError, ValueError, OSError, RuntimeError):
        attributes[name] = new  # HDF5 holds less than JSON does


def _damage_item(rng, file, name, outside):
    """Replaces a group or an array by something else, under its own name or another."""
    item = file[name]
    owner = name.rpartition("/")[0]
    kind = int(rng.integers(9))
    if kind < 4 and isinstance(item, h5py.Dataset):
        new = damage.array(rng, item[()])
    elif kind == 4:
        new = pick(
            rng,
            (h5py.SoftLink(owner or "/"), h5py.SoftLink("/nowhere"),
             h5py.SoftLink(name), h5py.ExternalLink(str(outside), "/data"), file["/"]),
        )  # fmt: skip
    elif kind == 5:
        new = pick(rng, (None, "text", np.array(["a", "é"], h5py.string_dtype())))
    elif kind == 6:
        del file[name]
        shape = pick(rng, ((10**9,), (10**5, 10**5), (3, 10**8), (2**62,)))
        file.create_dataset(name, shape, pick(rng, ("f8", "u1")), chunks=True)
        return
    else:
        with contextlib.suppress(ValueError, RuntimeError):
            odd = str(pick(rng, damage.TEXTS))[:300].replace("\ud800", "?")
            file.move(name, f"{owner}/{odd or 'x'}")
        return
    del file[name]
    with contextlib.suppress(ValueError, RuntimeError):
        file[name] = h5py.Empty("f8") if new is None else new


def npz_file(rng, path):
    """Damages an array of a `numpy.savez` file, or the file."""
    kind = int(rng.integers(6))
    if kind < 2:
        path.write_bytes(damage.bytes_of(rng, path.read_bytes()))
        return
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    name = pick(rng, list(arrays))
    if kind == 2:
        arrays[name] = np.array([{"a": 1}, None], dtype=object)
    elif kind == 3:
        arrays[str(pick(rng, ("x", "../x", "a/b", "é")))] = arrays.pop(name)
    else:
        arrays[name] = damage.array(rng, arrays[name])
    np.savez(path, **arrays)
    if rng.random() < 0.2:
        _damage_member(rng, path)


def _damage_member(rng, path):
    """Damages bytes inside a zip, whose own checksums then fit."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = pick(rng, list(members))
    head = members[name][:128]
    members[name] = damage.bytes_of(rng, head) + members[name][128:]
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)


def zarr_folder(rng, root, outside):
    """Damages an array of a replay buffer, or a file of it."""
    kind = int(rng.integers(8))
    files = sorted(file for file in root.rglob("*") if file.is_file())
    about = [file for file in files if file.name.startswith(".z")]
    if kind < 3:
        file = pick(rng, about)
        file.write_bytes(damage.json_bytes(rng, file.read_bytes()))
    elif kind < 5:
        file = pick(rng, files)
        file.write_bytes(damage.bytes_of(rng, file.read_bytes()))
    elif kind == 5:
        damage.path(rng, pick(rng, files), outside)
    else:
        import zarr

        group = zarr.open_group(str(root), mode="r+")
        name = pick(rng, ("data/action", "data/state", "meta/episode_ends"))
        new = damage.array(rng, group[name][:])
        group.create_dataset(name, data=new, overwrite=True)


def zipped(rng, root, path):
    """Packs a folder into a zip, and may damage the zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(root).as_posix())
    if rng.random() < 0.4:
        path.write_bytes(damage.bytes_of(rng, path.read_bytes()))


def safetensors_file(rng, path):
    """Damages weights: bytes, the head, or facts and tensors with a new checksum."""
    from safetensors.torch import load, save_file

    kind = int(rng.integers(6))
    content = path.read_bytes()
    if kind == 0:
        path.write_bytes(damage.bytes_of(rng, content))
        return
    size = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + size])
    if kind == 1:
        text = damage.to_text(damage.json_value(rng, head)).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
        return
    facts, tensors = json.loads(head["__metadata__"]["facts"]), load(content)
    if kind < 4:
        facts = damage.json_value(rng, facts)
    else:
        _damage_tensor(rng, tensors)
    text = damage.to_text(facts)
    signed = {"facts": text, "sha256": _checksum(tensors, text)}
    save_file(tensors, path, metadata=signed)


def _damage_tensor(rng, tensors):
    import torch

    name = pick(rng, list(tensors))
    old = tensors.pop(name)
    kind = int(rng.integers(7))
    if kind == 0:
        return
    if kind == 1:
        tensors[str(pick(rng, ("x", "a.b", "é", name + ".x")))] = old
    elif kind == 2:
        numbers = (float("nan"), float("inf"), 1e38, -1.0, 0.0)
        tensors[name] = torch.full_like(old.float(), pick(rng, numbers))
    elif kind == 3:
        kinds = (torch.float16, torch.int64, torch.bool, torch.float64, torch.uint8)
        tensors[name] = old.to(pick(rng, kinds))
    else:
        new = (
            old[None],
            old.flatten()[:0],
            old.flatten(),
            torch.zeros(()),
            old[..., None],
        )
        tensors[name] = pick(rng, new).contiguous()
