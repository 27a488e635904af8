"""Checks of an array in zarr v2 before zarr decodes it."""

from __future__ import annotations

import bz2
import json
import lzma
import math
import struct
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dp_bench.errors import BadInput
from dp_bench.util.json_text import parsed_object

COMPRESSORS = ("blosc", "zlib", "gzip", "zstd", "lz4", "lzma", "bz2")
CHECKSUMS = ("crc32", "adler32")
FILTERS = ("shuffle", "delta", "fixedscaleoffset", "quantize", "bitround", "astype")
CODECS = (*COMPRESSORS, *FILTERS, *CHECKSUMS)  # none of them runs code of a file
MOST_METADATA = 1 << 20  # size of a description [bytes]
FREE_CHUNKS = 1000  # an array may have so many, whatever lies there
CHUNKS_EACH = 10  # and so many for each chunk that lies there
SLACK = 1 << 16  # that a codec may add to a chunk [bytes]


class ArrayAbout(NamedTuple):
    """The description of an array, checked.

    Attributes:
        shape: Its shape.
        chunks: The shape of a chunk.
        itemsize: Size of a number [bytes].
        compressor: Name of the codec that packed a chunk last; "" for none.
        has_filters: Whether other codecs were applied before.
        separator: Between the numbers in the name of a chunk.
        fill_is_zero: Whether a chunk that was left out holds zeros.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    itemsize: int
    compressor: str
    has_filters: bool
    separator: str
    fill_is_zero: bool

    @property
    def nbytes(self) -> int:
        """Size of the decoded array [bytes]."""
        return math.prod(self.shape) * self.itemsize

    @property
    def chunk_nbytes(self) -> int:
        """Size of a decoded chunk [bytes]."""
        return math.prod(self.chunks) * self.itemsize

    @property
    def counts(self) -> tuple[int, ...]:
        """How many chunks there are along each axis."""
        return tuple(
            -(-length // chunk)
            for length, chunk in zip(self.shape, self.chunks, strict=True)
        )

    def is_chunk(self, name: str) -> bool:
        """Tells whether a file of this name is a chunk of the array."""
        parts = name.split(self.separator)
        return len(parts) == len(self.counts) and all(
            part.isdecimal() and len(part) < 19 and int(part) < count
            for part, count in zip(parts, self.counts, strict=True)
        )


def checked_about(text: bytes) -> ArrayAbout:
    """Reads the description of an array, and lets known codecs pass only.

    Raises:
        BadInput: When it names another codec or holds no numbers; without a subject.
        ValueError, KeyError, TypeError: When it is no description.
    """
    about = parsed_object(text)
    compressor, filters = about["compressor"], about["filters"] or []
    for codec in (compressor, *filters):
        if codec is not None and codec["id"] not in CODECS:
            raise BadInput(
                f"is packed with {codec['id']!r}, and dp-bench unpacks "
                f"{', '.join(CODECS)} only, which run no code: save it with one of them"
            )
    dtype = np.dtype(about["dtype"]) if isinstance(about["dtype"], str) else None
    if dtype is None or dtype.kind not in "fiub":
        raise BadInput(
            f"holds {str(about['dtype'])[:50]!r}, which are not numbers but perhaps "
            f"pickled objects, and dp-bench unpickles nothing: save it as numbers"
        )
    shape, chunks = _sizes(about["shape"], 0), _sizes(about["chunks"], 1)
    if not shape or len(shape) != len(chunks):
        raise ValueError(f"chunks {chunks} do not fit the shape {shape}")
    return ArrayAbout(
        shape,
        chunks,
        dtype.itemsize,
        compressor["id"] if compressor else "",
        bool(filters),
        about.get("dimension_separator", "."),
        about["fill_value"] == 0,
    )


def check_consolidated(text: bytes, name: str) -> None:
    """Applies the same checks to the copy that `.zmetadata` may hold of an array."""
    copy = parsed_object(text)["metadata"].get(f"{name}/.zarray")
    if copy is not None:
        checked_about(json.dumps(copy).encode())


def check_count(about: ArrayAbout, chunks: Mapping[str, int]) -> None:
    """Refuses many more chunks than files, and chunks that are too large.

    Args:
        about: The description of the array.
        chunks: Sizes of the chunks' files by name [bytes].

    Raises:
        BadInput: Without a subject.
    """
    expected = math.prod(about.counts)
    if expected and not chunks:
        raise BadInput("has no chunk at all: get the file again")
    if expected > max(FREE_CHUNKS, CHUNKS_EACH * len(chunks)):
        raise BadInput(
            f"should have {expected} chunks and has {len(chunks)}: get the file again"
        )
    for name, size in chunks.items():
        if size > 2 * about.chunk_nbytes + SLACK:
            raise BadInput(
                f"has a chunk {name} of {size} bytes, which must unpack to "
                f"{about.chunk_nbytes}: get the file again"
            )


def unpacks_to(codec: str, packed: bytes, limit: int) -> int:
    """Returns the size to which a chunk unpacks [bytes], or a larger one than `limit`.

    Nothing above `limit` is allocated. 0 stands for a codec without a size.

    Raises:
        ValueError, struct.error, zlib.error, lzma.LZMAError, OSError: When the chunk is
            damaged.
    """
    if codec == "blosc":  # it holds its own length at byte 12, and that of the rows
        size, length = struct.unpack("<4xI4xI", packed[:16])
        if length != len(packed):
            raise ValueError("truncated")
        return int(size)
    if codec == "lz4":
        return int(struct.unpack("<I", packed[:4])[0])
    if codec == "zstd":
        return _zstd_size(packed)
    if codec in ("zlib", "gzip"):
        unpacked = zlib.decompressobj(wbits=47).decompress(packed, limit + 1)
    elif codec == "bz2":
        unpacked = bz2.BZ2Decompressor().decompress(packed, limit + 1)
    elif codec == "lzma":
        unpacker = lzma.LZMADecompressor(memlimit=1 << 28)
        unpacked = unpacker.decompress(packed, limit + 1)
    else:
        return 0
    return len(unpacked)


def _zstd_size(packed: bytes) -> int:
    """Reads the size from the head of a zstd frame (RFC 8878, 3.1.1)."""
    flags = packed[4]
    width = (1 if flags & 0x20 else 0, 2, 4, 8)[flags >> 6]
    start = 5 + (not flags & 0x20) + (0, 1, 2, 4)[flags & 3]
    if not width or len(packed) < start + width:
        raise ValueError("zstd without its size")
    size = int.from_bytes(packed[start : start + width], "little")
    return size + 256 if width == 2 else size


def _sizes(values: object, least: int) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(
        type(value) is int and value >= least for value in values
    ):
        raise ValueError(f"{values!r} is no shape")
    return tuple(values)
