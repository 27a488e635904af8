"""The baselines against published implementations, with their random weights."""

import numpy as np
import pytest
import torch

from dp_bench import BadInput
from dp_bench.baselines.bet import bet_loss, nearest
from dp_bench.baselines.ibc import infonce
from dp_bench.baselines.lstm_gmm import Mixture
from dp_bench.policies.published import reference_network


def load(path):
    with np.load(path) as file:
        return {name: torch.tensor(file[name]) for name in file.files}


def weights_of(golden):
    return {k[2:]: v.numpy() for k, v in golden.items() if k.startswith("w/")}


def close(ours, theirs, atol=1e-5):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.numpy(), atol=atol)


def test_lstm_gmm_equals_the_published_one(shared):
    golden = load(shared / "golden" / "lstm_gmm.npz")
    network = reference_network("lstm_gmm", weights_of(golden))
    mixture = network(golden["obs"])
    close(mixture.component_distribution.base_dist.loc, golden["means"])
    close(mixture.component_distribution.base_dist.scale, golden["scales"])
    theirs = golden["logits"].log_softmax(-1)  # logits are defined up to a constant
    close(mixture.mixture_distribution.logits, theirs)
    close(mixture.log_prob(golden["action"]), golden["log_prob"])
    unrolled: Mixture = network.unroll(golden["obs"])[0]  # what training minimises
    close(-unrolled.log_prob(golden["action"]).mean(), golden["nll"])


def test_lstm_gmm_gives_the_same_step_by_step_as_at_once(shared):
    golden = load(shared / "golden" / "lstm_gmm.npz")
    network, state = reference_network("lstm_gmm", weights_of(golden)), None
    for k in range(golden["obs"].shape[1]):
        mixture, state = network.unroll(golden["obs"][:, k : k + 1], state)
        close(mixture.means[:, 0], golden["means"][:, k])


def test_bet_equals_the_published_one(shared):
    golden = load(shared / "golden" / "bet.npz")
    heads = int(golden["n_head"])
    network = reference_network("bet", weights_of(golden), n_head=heads)
    out = network(golden["obs"])
    close(out, golden["head_out"])
    cluster, offset = nearest(golden["action"], golden["bin_centers"])
    np.testing.assert_array_equal(cluster, golden["bins"].squeeze(-1))
    close(offset, golden["offsets"])
    parts = bet_loss(
        out, golden["action"], golden["bin_centers"], float(golden["focal_gamma"])
    )
    close(parts.cluster, golden["class_loss"])
    scale = float(golden["offset_loss_scale"])
    np.testing.assert_allclose(
        scale * parts.offset.item(), golden["offset_loss"], rtol=1e-6
    )
    whole = parts.cluster + scale * parts.offset
    np.testing.assert_allclose(whole.item(), golden["loss"], rtol=1e-6)


def test_infonce_equals_the_published_one(shared):
    golden = load(shared / "golden" / "ibc_infonce.npz")
    close(infonce(golden["logits"]), golden["loss"])


@pytest.mark.parametrize(
    ("kind", "lacking", "sizes"),
    [
        ("bet", "model.head.weight", {"n_head": 4}),
        ("lstm_gmm", "nets.decoder.nets.mean.bias", {}),
        ("transformer", "head.bias", {"n_head": 4}),
    ],
)
def test_weights_that_do_not_fit_are_refused(shared, kind, lacking, sizes):
    file = {"transformer": "transformer_decoder"}.get(kind, kind)
    weights = weights_of(load(shared / "golden" / f"{file}.npz"))
    with pytest.raises(BadInput, match="no place"):
        reference_network(kind, weights | {"extra.weight": np.zeros(3)}, **sizes)
    del weights[lacking]
    with pytest.raises(BadInput, match=lacking.replace(".", "[.]")):
        reference_network(kind, weights, **sizes)
