"""The images of training rows: in memory on the device, or read ahead from a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from dp_bench.data.images import LazyImages
from dp_bench.util.memory import free_memory
from dp_bench.util.processes import JOBS

Images = np.ndarray | LazyImages  # (N, height, width, 3), uint8

SHARE = 0.5  # of the free memory, which the images of all trainings may take
AHEAD = 4  # batches that may wait to be used


class Frames(Protocol):
    """Gives the images of rows by number.

    Attributes:
        streams: Whether they are read from a file during the training.
    """

    streams: bool

    def rows(self, rows: Tensor) -> dict[str, Tensor]:
        """Returns the images of rows `(B, T)`, uint8 `(B, T, H, W, 3)` by key."""
        ...

    def read_ahead(self, rows: Tensor) -> None:
        """Begins to read the images of rows `(B, T)`, which `rows` will ask for."""


class FramesInMemory:
    """All images, on the device that trains.

    Args:
        images: By key, `(N, H, W, 3)`.
        device: Holds the images.
    """

    streams = False

    def __init__(self, images: Mapping[str, Images], device: torch.device) -> None:
        self.images = {
            key: torch.as_tensor(np.asarray(array), device=device)
            for key, array in images.items()
        }

    def rows(self, rows: Tensor) -> dict[str, Tensor]:
        """See `Frames`."""
        return {key: array[rows] for key, array in self.images.items()}

    def read_ahead(self, rows: Tensor) -> None:
        """Does nothing: all images are at hand."""


class StreamedFrames:
    """Images that stay in their file; a thread reads those of the next batch.

    Args:
        images: By key, `(N, H, W, 3)`.
        device: Receives the images of a batch.
    """

    streams = True

    def __init__(self, images: Mapping[str, Images], device: torch.device) -> None:
        self.images, self.device = dict(images), device
        for array in self.images.values():
            if isinstance(array, LazyImages):
                for _ in array.episodes():  # refuses altered images
                    pass
        self._thread = ThreadPoolExecutor(1, "frames")
        self._coming: dict[bytes, Future[dict[str, Tensor]]] = {}

    def rows(self, rows: Tensor) -> dict[str, Tensor]:
        """See `Frames`."""
        numbers = rows.cpu().numpy()
        coming = self._coming.pop(numbers.tobytes(), None)
        read = self._read(numbers) if coming is None else coming.result()
        return {key: array.to(self.device) for key, array in read.items()}

    def read_ahead(self, rows: Tensor) -> None:
        """See `Frames`."""
        numbers = rows.cpu().numpy()
        if len(self._coming) == AHEAD:  # of batches that nobody asked for
            self._coming.clear()
        self._coming[numbers.tobytes()] = self._thread.submit(self._read, numbers)

    def _read(self, rows: np.ndarray) -> dict[str, Tensor]:
        unique, places = np.unique(rows, return_inverse=True)
        read = {}
        for key, array in self.images.items():
            images = torch.as_tensor(array[unique])[torch.as_tensor(places)]
            read[key] = images.view(*rows.shape, *array.shape[1:])
        return read


def make_frames(
    images: Mapping[str, Images],
    device: torch.device,
    where: Literal["auto", "memory", "file"] = "auto",
) -> Frames:
    """Puts images into memory where they fit.

    Args:
        images: By key, `(N, H, W, 3)`.
        device: The device that trains.
        where: "memory" or "file"; "auto" for memory if images take at most half of
            what is free, or less where several trainings run at a time.
    """
    in_memory = lie_in_memory(nbytes_of(images), device, where)
    return (FramesInMemory if in_memory else StreamedFrames)(images, device)


def nbytes_of(images: Mapping[str, Images]) -> int:
    """Counts the bytes that images take in memory."""
    return sum(int(np.prod(array.shape, dtype=np.int64)) for array in images.values())


def lie_in_memory(
    nbytes: float, device: torch.device, where: Literal["auto", "memory", "file"]
) -> bool:
    """Tells whether images of this size lie in the memory of a device.

    Args:
        nbytes: Their size [bytes].
        device: The device that trains.
        where: See `make_frames`.
    """
    if where == "auto":
        trainings = int(os.environ.get(JOBS, 1))
        return nbytes <= SHARE * free_memory(device) / trainings
    return where == "memory"
