"""Loading weights of published implementations into our networks.

The names and the layout of the weights are translated, their numbers never change. The
translation of each network is in the `published.py` beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from dp_bench import references
from dp_bench.errors import BadInput

# Functions from published weights, and sizes by keyword, to a network.
KINDS = {
    "unet1d": "dp_bench.policies.diffusion.published:unet",
    "transformer": "dp_bench.policies.diffusion.published:transformer",
    "lstm_gmm": "dp_bench.baselines.published:lstm_gmm",
    "bet": "dp_bench.baselines.published:bet",
}


def reference_network(
    kind: str, weights: Mapping[str, np.ndarray], **sizes: int
) -> nn.Module:
    """Builds our network with published weights.

    | kind | forward | by keyword |
    |---|---|---|
    | unet1d | `(noisy_actions (B, Tp, Da), timesteps (B,), obs (B, To, Do)) -> (B, Tp, Da)` | `n_groups` (8) |
    | transformer | the same | `n_head` |
    | lstm_gmm | `(obs (B, T, Do)) -> torch.distributions.MixtureSameFamily` | `n_modes` (5) |
    | bet | `(obs (B, T, Do)) -> (B, T, K + K Da)`: K logits, then offsets by cluster | `n_head` |

    Args:
        kind: Names the network; see the table.
        weights: Arrays under the names of the reference implementation of Diffusion
            Policy (Chi et al., 2023).
        **sizes: Sizes that the shapes of the weights do not determine.

    Returns:
        The network in evaluation mode.

    Raises:
        BadInput: For an unknown kind, or weights that do not fit it.
    """  # noqa: E501
    if kind not in KINDS:
        raise BadInput(f"no network kind {kind!r}; there are {', '.join(KINDS)}")
    build = references.load(KINDS[kind])
    try:
        network: nn.Module = build(PublishedWeights(weights), **sizes)
    except BadInput:
        raise
    except KeyError as error:
        raise BadInput(f"the weights of a {kind!r} lack {error}") from None
    except TypeError as error:
        raise BadInput(f"sizes {sorted(sizes)} do not fit {kind!r}: {error}") from None
    except (IndexError, ValueError, ZeroDivisionError):
        raise BadInput(
            f"a weight or a size of the {kind!r} has a wrong shape"
        ) from None
    return network.eval()


class PublishedWeights(dict[str, Tensor]):
    """Published weights by their own names, and those already translated in `ours`.

    Args:
        weights: Arrays under their published names.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__(
            {name: torch.as_tensor(np.asarray(w)) for name, w in weights.items()}
        )
        self.ours: dict[str, Tensor] = {}
        self.used: set[str] = set()

    def take(self, name: str) -> Tensor:
        """Returns a weight and marks it as used."""
        self.used.add(name)
        return self[name]

    def ignore(self, names: Sequence[str]) -> None:
        """Marks names as used that hold nothing learned, present or not."""
        self.used.update(names)

    def count(self, prefix: str) -> int:
        """Counts the numbered parts under a name."""
        dots = prefix.count(".") + 1
        return len({n.split(".")[dots] for n in self if n.startswith(f"{prefix}.")})

    def layer(
        self,
        our: str,
        theirs: str,
        convert: Callable[[Tensor], Tensor] = lambda weight: weight,
    ) -> None:
        """Translates the weight of a layer, in a new layout, and its bias."""
        self.ours[f"{our}.weight"] = convert(self.take(f"{theirs}.weight"))
        self.ours[f"{our}.bias"] = self.take(f"{theirs}.bias")

    def load_into(self, network: nn.Module) -> nn.Module:
        """Loads the translated weights.

        Raises:
            BadInput: When a published weight is left over, or a shape does not fit.
        """
        unused = sorted(set(self) - self.used)
        if unused:
            raise BadInput(f"this network has no place for the weights {unused}")
        try:
            network.load_state_dict(self.ours)
        except RuntimeError as error:
            raise BadInput(f"weights do not fit the network: {error}") from None
        return network
