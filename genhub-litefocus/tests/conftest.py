"""One thread and one seed for all tests; GPU kernels are interpreted where there is no GPU."""

from __future__ import annotations

import os

import pytest
import torch

# Triton reads this when it is first imported, which diffusers does.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
