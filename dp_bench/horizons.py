"""Horizons: how far a policy looks back, predicts and executes."""

from __future__ import annotations

from dataclasses import dataclass

from dp_bench.errors import BadInput

LONGEST = 5_000  # steps of any horizon


@dataclass(frozen=True)
class Horizons:
    """How far a policy looks back, how far it predicts, how much it executes.

    A window holds `prediction` steps. Its first `obs` steps have been observed, so
    "now" is step `obs - 1`, and that is where execution starts::

        To = 2, Ta = 3, Tp = 6

        step        0    1    2    3    4    5
        observed    o    o
        predicted   p    p    p    p    p    p
        executed         x    x    x

    Attributes:
        obs: To, observation steps given to the policy.
        action: Ta, actions executed before the policy is asked again.
        prediction: Tp, actions the policy predicts.

    Raises:
        BadInput: When a horizon is below 1, or execution would outlast the prediction.
    """

    obs: int = 2
    action: int = 8
    prediction: int = 16

    def __post_init__(self) -> None:
        if min(self.obs, self.action, self.prediction) < 1:
            raise BadInput(f"horizons must be at least 1, got {self}")
        if max(self.obs, self.action, self.prediction) > LONGEST:
            raise BadInput(f"horizons must be at most {LONGEST} steps, got {self}")
        if self.executed.stop > self.prediction:
            raise BadInput(
                f"cannot execute steps {self.executed.start}..{self.executed.stop - 1} "
                f"of a prediction {self.prediction} steps long: "
                f"obs - 1 + action must be at most prediction"
            )

    @property
    def least_steps(self) -> int:
        """Steps that an episode needs so that its first window overhangs by Ta - 1.

        The window of a shorter episode hangs over the end of the episode further.
        """
        return self.prediction - self.executed.stop + 1

    @property
    def executed(self) -> slice:
        """The steps of a prediction that are executed in the environment."""
        now = self.obs - 1
        return slice(now, now + self.action)
