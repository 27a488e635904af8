"""A scripted demonstrator of Kitchen, and the episodes it plays."""

from __future__ import annotations

import math

import numpy as np

from dp_bench.data.demos import Demonstration
from dp_bench.data.recording import EpisodeRecorder

from ..scores import ELEMENTS, elements_done, sequence
from .arm import ACTION_REACH, SHARE, Arm
from .env import Kitchen
from .franka import ARM, DQ, FINGERS, NUM_JOINTS, ORDER, Q, franka_kitchen, mujoco
from .observations import positions
from .planning import Planner
from .skills import SKILLS, Skill, draw_order

MAX_STEPS = 280
STREAM = 1  # of a seed's generators: this one is the script's, the other the noise's
PACE = (0.85, 1.15)  # factor of all speeds of an episode
SMOOTHING = 5  # the arm follows the mean of so many steps: corners become curves
DRAWS = 8  # plans that the script draws at most, until one is feasible


class Demonstrator:
    """Does elements one after the other.

    For each element it plans from where the hand is: withdraw from the element before;
    pass a point nearer to the robot, if the distance is long; line up; touch or grasp;
    and move the element along its joint. A plan is a list of waypoints with speeds,
    from which inverse kinematics makes joint angles. The demonstrator follows the
    angles, averaged over a few steps, by the actions that bring the joints there within
    a step. It begins the next element as soon as this one is at its goal. If a plan
    ends before that, it plans the element again.

    Attributes:
        order: Elements to do, numbers from 0.
    """

    def __init__(self) -> None:
        self._model = franka_kitchen().model
        self._data = mujoco.MjData(self._model)
        self._arm = Arm()

    def reset(self, rng: np.random.Generator, order: tuple[int, ...]) -> None:
        """Begins an episode."""
        self.order = order
        self._planner = Planner(self._data, self._arm, rng, float(rng.uniform(*PACE)))
        self._place = -1  # in the order, of the element that it does
        self._recent: list[np.ndarray] = []  # angles of the last steps of the plan

    def act(self, state: np.ndarray) -> np.ndarray | None:
        """Returns velocities of arm and fingers, `(9,)`, float32; None at the end.

        Args:
            state: `info["state"]` of the environment.
        """
        data = self._data
        data.qpos[:], data.qvel[:] = state[Q], state[DQ]
        mujoco.mj_kinematics(self._model, data)
        q = data.qpos[ARM]
        if self._place < 0:
            self._recent = [q.copy()] * SMOOTHING
            self._begin(0)
        elif self._plan_is_over(state):
            self._begin(self._place + int(self._is_done(state)))
        if self._place == len(self.order):
            return None
        i = min(self._i, len(self._plan.arm) - 1)
        self._i += 1
        self._recent = [*self._recent[1:], self._plan.arm[i]]
        error = np.mean(self._recent, axis=0) - q
        action = np.empty(NUM_JOINTS, np.float32)
        action[ARM] = (error / SHARE + self._arm.sag(q)) / ACTION_REACH
        action[FINGERS] = self._plan.fingers[max(i - SMOOTHING // 2, 0)]
        return np.clip(action, -1.0, 1.0)

    def _is_done(self, state: np.ndarray) -> bool:
        return bool(state[ORDER][self.order[self._place]] > 0)

    def _plan_is_over(self, state: np.ndarray) -> bool:
        """Tells whether the plan ended, or the element has reached its goal."""
        plan, skill = self._plan, self._skill(self._place)
        if self._i >= len(plan.arm) + SMOOTHING:
            return True
        if skill.lift or self._i >= len(plan.arm) or not plan.acts[self._i]:
            return False
        value = float(self._data.joint(skill.joint).qpos[0])
        reached = value * math.copysign(1, skill.goal[0]) >= abs(plan.goal)
        return reached and self._is_done(state)

    def _skill(self, place: int) -> Skill:
        return SKILLS[ELEMENTS[self.order[place]]]

    def _begin(self, place: int) -> None:
        """Plans an element of the order, for the first time or again."""
        before = max(self._place, place - 1)
        self._place = place
        if place == len(self.order):
            return
        for _ in range(DRAWS):
            self._plan = self._planner.plan(
                self._skill(place), self._skill(before) if before >= 0 else None
            )
            if self._plan.feasible:
                break
        self._i = 0  # steps of the plan that were done


def demonstrate(env_seed: int) -> Demonstration | None:
    """Plays one episode with velocity control; None if it fails.

    An episode succeeds if the elements that were drawn, and no others, are done in the
    order that was drawn. The seed determines the noise of the environment, the order
    and everything that the plans draw.
    """
    rng = np.random.default_rng((env_seed, STREAM))
    return play(env_seed, draw_order(rng), rng)


def play(
    env_seed: int, order: tuple[int, ...], rng: np.random.Generator
) -> Demonstration | None:
    """Does the elements of an order, any number of them; None if it fails."""
    recorder = EpisodeRecorder(Kitchen(obs="full"), env_seed, obs_kind="full")
    demonstrator = Demonstrator()
    demonstrator.reset(rng, order)
    while len(recorder) < MAX_STEPS:
        action = demonstrator.act(recorder.info["state"])
        if action is None:
            break
        recorder.step(action)
    digits = int("".join(str(k + 1) for k in order))
    if sequence(recorder.info["order"]) != digits:
        return None
    episode = recorder.demonstration(
        elements_done(recorder.rewards, recorder.infos).score,
        {"env_seed": env_seed, "order": digits},
    )
    full = episode.obs["full"]
    return episode._replace(obs={"qpos": positions(full), "full": full})
