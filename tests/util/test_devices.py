"""Which devices this machine has."""

import subprocess
import sys

import pytest

from dp_bench.util import devices

SCRIPT = """
import sys
from dp_bench.util import devices
devices.DRIVERS, devices.shutil.which = (), lambda name: None
assert not devices.is_gpu("auto")
assert not devices.is_gpu("cpu")
assert devices.is_gpu("cuda:1")
assert "torch" not in sys.modules
"""


def test_a_machine_without_the_driver_of_a_gpu_does_not_load_torch():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)


@pytest.mark.parametrize("works", [True, False])
def test_a_driver_alone_is_not_a_gpu(works, monkeypatch):
    monkeypatch.setattr(devices.shutil, "which", lambda name: "nvidia-smi")
    monkeypatch.setattr("torch.cuda.is_available", lambda: works)
    monkeypatch.setattr("torch.cuda.device_count", lambda: int(works))
    assert devices.is_gpu("auto") == works
