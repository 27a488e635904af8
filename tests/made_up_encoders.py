"""Made-up trainings of a study of encoders."""

import hashlib

import numpy as np

from dp_bench.evaluation.encoders import EncoderTraining
from dp_bench.policies.vision.config import VisionConfig
from dp_bench.runs.trained import Stage, Trained
from made_up_records import episodes, with_digests

STAGE = Stage(
    device="cpu",
    processor="P",
    precision="float32",
    threads=2,
    torch="2.13",
    commit="abc",
)
ENCODERS = {
    "cnn": VisionConfig("cnn"),
    "cnn_frozen": VisionConfig("cnn", frozen=True),
    "resnet18": VisionConfig(),
    "resnet18_average": VisionConfig(pooling="average"),
    "resnet18_batch_norm": VisionConfig(norm="batch"),
    "efficientnet_lite0": VisionConfig("efficientnet_lite0"),
    "efficientnet_lite0_frozen": VisionConfig(
        "efficientnet_lite0", pretrained=True, frozen=True
    ),
    "efficientnet_lite0_tuned": VisionConfig(
        "efficientnet_lite0", pretrained=True, lr_factor=0.1
    ),
}


def study(scores=((0.5, 1.0),), names=tuple(ENCODERS), **changes):
    """One training for each name and each row of scores, `scores[seed][start]`.

    The k-th encoder scores k/20 less in every episode.
    """
    trainings = []
    for k, name in enumerate(names):
        facts = {
            "name": name,
            "plan": "0123abcd",
            "vision": ENCODERS[name],
            "encoder_parameters": 11_200_000,
            "encoder_trained": 17_000 if "frozen" in name else 11_200_000,
            "update_seconds": 0.1 * (k + 1),
            "minutes": 10.0,
            "preset": "laptop",
            "changes": (),
            "source": "human",
        }
        records = with_digests(
            episodes(
                "dp_c",
                np.maximum(np.array(scores) - k / 20, 0).round(3).tolist(),
                obs_kind="image",
                preset="custom",
                settings=hashlib.sha256(name.encode()).hexdigest()[:8],
                starts="validation",
                step=6000 // (k + 1) // 100 * 100,
                train_seconds=597.0 + k,
                trained=Trained((STAGE,), "0" * 12),
            )
        )
        for seed in range(len(scores)):
            own = tuple(r for r in records if r.train_seed == seed)
            trainings.append(EncoderTraining(**(facts | changes), records=own))
    return trainings
