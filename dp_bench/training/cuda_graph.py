"""One training update as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class CudaGraph:
    """Records the arithmetic of an update once, and replays it.

    Small networks consist of hundreds of short operations, and launching each takes a
    GPU longer than computing it. A replay launches all of them at once. It reads noise,
    learning rate and batch from the same memory as the recording, so it computes what
    the loop would.

    Args:
        compute: Computes the loss of windows by number, `(B,)`, and updates the
            weights. It must not read a number back from the device, and must have run
            `WARMUP` times, in which libraries set themselves up.
        batch_size: B.
        generator: Source of the noise in `compute`.
        device: The GPU.
    """

    WARMUP = 3  # updates

    def __init__(
        self,
        compute: Callable[[Tensor], Tensor],
        batch_size: int,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.windows = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(generator)
        with torch.cuda.graph(
            self.graph,
            stream=torch.cuda.Stream(device),
            capture_error_mode="thread_local",
        ):
            self.loss = compute(self.windows)

    def __call__(self, windows: Tensor) -> Tensor:
        """Replays the update for other windows; the next replay overwrites the loss."""
        self.windows.copy_(windows)
        self.graph.replay()
        return self.loss
