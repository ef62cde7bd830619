"""One thread for every test: the fits are tiny, and threads that wait for a busy core cost more."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start

import torch

torch.set_num_threads(1)
