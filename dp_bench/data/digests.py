"""Hashes of arrays that are the same on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from dp_bench.data.images import LazyImages


def sha256_of(
    words: Sequence[str], arrays: Mapping[str, np.ndarray | LazyImages]
) -> str:
    """Hashes words and named arrays; memory layout and byte order do not matter."""
    digest = hashlib.sha256(json.dumps(list(words)).encode())
    for name in sorted(arrays):
        array = arrays[name]
        dtype = array.dtype.newbyteorder("<")
        header = json.dumps([name, dtype.str, list(array.shape)])
        digest.update(header.encode())
        for block in array.episodes() if isinstance(array, LazyImages) else [array]:
            digest.update(np.ascontiguousarray(block, dtype).data)
    return digest.hexdigest()
