"""The viewer of every environment."""

import sys

import numpy as np
import pytest

from dp_bench import registry
from dp_bench.envs.viewer import Viewer
from dp_bench.errors import BadInput


@pytest.mark.parametrize("task", registry.tasks())
def test_a_viewer_without_pygame_is_refused_with_the_remedy(task, monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(BadInput, match=r"pip install 'dp-bench\[human\]'"):
        registry.task(task).make_env(render_mode="human")


def test_a_viewer_shows_the_image_and_opens_again_after_it_was_closed(monkeypatch):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    image = np.zeros((3, 5, 3), np.uint8)
    image[2, 4] = 10, 20, 30
    viewer = Viewer("Pixels", rate=1000)
    for _ in range(2):
        viewer.show(image)
        shown = pygame.surfarray.array3d(pygame.display.get_surface())
        np.testing.assert_array_equal(shown.swapaxes(0, 1), image)
        assert pygame.display.get_caption()[0] == "Pixels"
        viewer.close()
        assert not pygame.display.get_init()
    viewer.close()
