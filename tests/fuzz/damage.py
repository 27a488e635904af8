"""Damage to bytes, JSON, tables, arrays and paths; a generator decides which."""

import json
import os
import shutil

import numpy as np

DEEP = 100_000  # levels of nested JSON
TEXTS = (
    "", " ", "none", "../../x", "/etc/hostname", "a/b", "\x1b[31mred", "two\nlines",
    "=1+1", "[link](x)", "<script>", "$x$", "é", "ÿ" * 300, "\ud800", "x" * 100_000,
    "1e400", "0x10", "٣", "²", "demo_²", "demo_1e3", "demo_" + "9" * 30, "nan", "-",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 0.5, -0.0, 1e-320, 1e38, 1e300, -1e300, 2**31, 2**63, 2**64, -(2**63),
    10**9, 10**12, 10**30, 10**400, float("nan"), float("inf"), float("-inf"), 1e5,
)  # fmt: skip
OTHER_FILES = (
    b"", b"\n", b"\0" * 64, b"<html>log in</html>\n", b"PK\x03\x04",
    b"\x89HDF\r\n\x1a\n", b"\x93NUMPY\x01\x00", b"null", b"[]", b"{}", b"3",
    b'"text"', b"\xff\xfe{\x00}\x00", b"[" * DEEP, b'{"a":' * DEEP,
    b"a,b\n1,2\n", b"\x80\x04K\x01.",
)  # fmt: skip


class Raw:
    """JSON text that Python's encoder cannot write."""

    def __init__(self, text):
        self.text = text


def pick(rng, choices):
    """One of some choices, which need not be of one type."""
    return choices[int(rng.integers(len(choices)))]


def bytes_of(rng, data):
    """Bytes that a disk, a network or a stranger has changed."""
    if not data or rng.random() < 0.05:
        return pick(rng, OTHER_FILES)
    kind = int(rng.integers(8))
    start = int(rng.integers(len(data)))
    stop = min(len(data), start + int(rng.integers(1, 65)))
    junk = rng.bytes(int(rng.integers(1, 65)))
    if kind < 3:
        changed = bytearray(data)
        for place in rng.integers(len(data), size=rng.integers(1, 9)):
            changed[place] ^= 1 << int(rng.integers(8))
        return bytes(changed)
    return {
        3: data[:start],
        4: data[:start] + bytes(stop - start) + data[stop:],
        5: data[:start] + junk + data[start:],
        6: data[:start] + data[stop:],
        7: data + junk,
    }[kind]


def value(rng, old=None):
    """A value of another type, too large, no number, or an odd text."""
    kind = int(rng.integers(9))
    if kind == 0:
        return pick(rng, (None, True, False))
    if kind < 4:
        return pick(rng, NUMBERS)
    if kind < 6:
        return pick(rng, TEXTS)
    if kind == 6:
        return pick(rng, ([], {}, [old], {"a": old}, [[1, 2], [3]], [None] * 3))
    if kind == 7 and isinstance(old, (int, float)) and not isinstance(old, bool):
        return pick(rng, (-old, old + 1, old * 1000, float(old), str(old), [old]))
    brackets = pick(rng, (("[", "]"), ('{"a":', "}")))
    return Raw(brackets[0] * DEEP + "1" + brackets[1] * DEEP)


def _nodes(node, path=()):
    """Yields the path of every value in JSON."""
    pairs = ()
    if isinstance(node, dict):
        pairs = node.items()
    elif isinstance(node, list):
        pairs = enumerate(node[:20])
    for key, inner in pairs:
        yield (*path, key)
        yield from _nodes(inner, (*path, key))


def json_value(rng, data):
    """Parsed JSON in which one value or one key is another."""
    paths = list(_nodes(data))
    if not paths or rng.random() < 0.05:
        return value(rng, data)
    *way, last = pick(rng, paths)
    owner = data
    for key in way:
        owner = owner[key]
    kind = int(rng.integers(10))
    if kind == 0 and isinstance(owner, dict):
        owner[str(pick(rng, TEXTS))] = owner.pop(last)
    elif kind == 1 and isinstance(owner, dict):
        owner[pick(rng, TEXTS)] = value(rng)
    elif kind == 2:
        del owner[last]
    else:
        owner[last] = value(rng, owner[last])
    return data


def to_text(data):
    """JSON text of a value that may hold `Raw` text and numbers beyond JSON."""
    raws = []

    def encode(item):
        raws.append(item.text)
        return f"@raw{len(raws) - 1}@"

    text = json.dumps(data, default=encode)
    for k, raw in enumerate(raws):
        text = text.replace(f'"@raw{k}@"', raw)
    return text


def json_bytes(rng, content):
    """A JSON file with one wrong value, or damaged bytes."""
    if rng.random() < 0.2:
        return bytes_of(rng, content)
    return to_text(json_value(rng, json.loads(content))).encode()


def lines_bytes(rng, content):
    """A file of JSON lines with one wrong value, one wrong line, or damaged bytes."""
    if not content or rng.random() < 0.15:
        return bytes_of(rng, content)
    lines = content.splitlines()
    k = int(rng.integers(len(lines)))
    kind = int(rng.integers(8))
    if kind == 0:
        lines.insert(k, pick(rng, OTHER_FILES).replace(b"\n", b""))
    elif kind == 1:
        lines.insert(k, lines[k])
    elif kind == 2:
        lines[k] = lines[k][: len(lines[k]) // 2]
    else:
        lines[k] = to_text(json_value(rng, json.loads(lines[k]))).encode()
    return b"\n".join(lines) + b"\n" * (kind != 3)


def csv_bytes(rng, content):
    """A table with wrong cells, columns or separators, or damaged bytes."""
    kind = int(rng.integers(7))
    if kind == 0:
        return bytes_of(rng, content)
    rows = [line.split(",") for line in content.decode().splitlines()]
    k, column = int(rng.integers(len(rows))), int(rng.integers(len(rows[0])))
    if kind == 1:
        rows = [row[:column] + row[column + 1 :] for row in rows]
    elif kind == 2:
        rows[0][column] = pick(rng, TEXTS)
    elif kind == 3:
        rows[k].append("extra")
    else:
        rows[k][column % len(rows[k])] = str(value(rng))[:1000]
    separator = pick(rng, (",", ",", ",", ";", "\t"))
    text = "\n".join(separator.join(row) for row in rows)
    return text.encode("utf-8", "replace") + b"\n" * int(rng.integers(2))


def array(rng, old):
    """An array of another type, shape or size, or with numbers that are none."""
    old = np.asarray(old)
    kind = int(rng.integers(8))
    if kind < 2:
        types = (
            "uint8", "int8", "uint64", "int64", "float16", "float64", ">f4", "bool",
            "complex64", "S3", "int32",
        )  # fmt: skip
        with np.errstate(all="ignore"):
            return old.astype(pick(rng, types))
    if kind < 4 and old.size:
        changed = old.astype(np.float64, copy=True).reshape(-1)
        numbers = [float(n) for n in NUMBERS if n != 10**400]
        changed[int(rng.integers(old.size))] = pick(rng, numbers)
        return changed.reshape(old.shape)
    if kind < 6 and old.ndim:
        return pick(
            rng,
            (old[:0], old[:1], old[:-1], np.concatenate([old, old]), old[::-1],
             old[..., :1], old[None], old[..., None], old[0] if len(old) else old),
        )  # fmt: skip
    return pick(
        rng,
        (np.float32(3), np.zeros(0), np.arange(5), np.array(["a", "b"], dtype="S1"),
         np.zeros((3, 0)), np.zeros((2, 2, 2, 2)), np.full(old.shape, 255, np.uint8)),
    )  # fmt: skip


def path(rng, target, outside):
    """Replaces a file by a link, a folder, a pipe or nothing.

    Args:
        target: The file or folder.
        outside: A file of the user, which nobody may touch.
    """
    kind = pick(rng, ("link", "dangling", "circle", "folder", "pipe", "missing"))
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    if kind == "link":
        target.symlink_to(outside)
    elif kind == "dangling":
        target.symlink_to(outside.with_name("missing"))
    elif kind == "circle":
        target.symlink_to(target)
    elif kind == "folder":
        target.mkdir()
    elif kind == "pipe":
        os.mkfifo(target)
