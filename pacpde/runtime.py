"""Device, dtype and random numbers, always passed and never global; and which code runs."""

import hashlib
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from pacpde.checks import check_count
from pacpde.errors import InvalidValueError, SolverError

ROOT = Path(__file__).parent
# parts of pacpde whose code no result depends on
IRRELEVANT = ("cli", "expressions", "plots", "report", "interop", "studies", "locks", "ownership")
DTYPES = {"float64": torch.float64, "float32": torch.float32}


@dataclass(frozen=True)
class Runtime:
    """Device and dtype of a computation."""

    device: str = "cpu"
    dtype: str = "float64"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InvalidValueError(
                f"dtype is {self.dtype!r}, expected one of {', '.join(DTYPES)}."
            )
        try:
            # "meta" holds no numbers, and some devices no float64
            torch.zeros(1, dtype=DTYPES[self.dtype], device=self.device).cpu()
        except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
            available = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
            why = _why_no_gpu() if self.device.startswith("cuda") and len(available) == 1 else ""
            raise InvalidValueError(
                f"device {self.device!r} cannot be used here: choose from {', '.join(available)}."
                f"{why}"
            ) from error

    @property
    def torch_device(self) -> torch.device:
        return torch.device(self.device)

    @property
    def torch_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype]

    def tensor(self, values: object) -> torch.Tensor:
        """`values` (array, tensor, list) as a tensor of this device and dtype."""
        return torch.as_tensor(values, dtype=self.torch_dtype, device=self.torch_device)


LARGEST_SEED = 2**63 - 1  # what the records of a study hold


def _why_no_gpu() -> str:
    """Why torch has no GPU here, as the end of a sentence's paragraph."""
    if not torch.backends.cuda.is_built():
        return f" torch {torch.__version__} is built without CUDA: install a build with CUDA."
    return " torch finds no GPU: see what `nvidia-smi` says of the driver and the GPU."


@contextmanager
def gradients() -> Iterator[None]:
    """Autograd works inside, also where the caller switched it off.

    Under `torch.no_grad` and `torch.inference_mode` the derivatives of starts, edges and
    equations would silently be 0. Use it as a decorator or in a `with` statement.

    Example:
        >>> with torch.inference_mode(), gradients():
        ...     torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        (True, False)
    """
    check_fork()  # whatever computes passes here
    with torch.inference_mode(False), torch.enable_grad():
        yield


_several: set[int] = set()  # processes that have computed with several threads of torch


def check_fork() -> None:
    """Refuse to compute where a fork would make it wait for ever.

    A fork copies the forking thread alone, and the threads of OpenMP that it has computed with are
    gone in the child.
    """
    if torch.get_num_threads() == 1:
        return
    if _several - {os.getpid()}:
        raise SolverError(
            "this process was forked from one that has computed with several threads of torch, "
            "which do not survive a fork: call torch.set_num_threads(1) first in the new process, "
            'or start it by spawn, as in multiprocessing.get_context("spawn") (joblib does so by '
            "itself)."
        )
    _several.add(os.getpid())


_counting = threading.Lock()


def one_thread() -> None:
    """Let torch compute with one thread in the calling thread, and with as many in all others.

    `torch.set_num_threads` sets both the caller's number and that with which new threads begin.
    The second is put back from a thread that ends at once.
    """
    before = torch.get_num_threads()
    if before == 1:
        return
    with _counting:
        torch.set_num_threads(1)
        restoring = threading.Thread(target=torch.set_num_threads, args=(before,))
        restoring.start()
        restoring.join()


def check_seed(seed: int) -> int:
    """`seed` if it is a whole number from 0 to 2⁶³ − 1."""
    check_count("seed", seed, 0, LARGEST_SEED)
    return int(seed)


def generator(seed: int, *purpose: str) -> np.random.Generator:
    """Random numbers of `seed` that depend on nothing but the seed and the purpose.

    Two purposes ("weights", "collocation") give independent streams, so that a change of one
    does not shift the other.
    """
    words = [int.from_bytes(word.encode(), "little") for word in purpose]
    return np.random.default_rng([check_seed(seed), *words])


@cache
def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for package in ("pacpde", "torch", "scipy", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = str(getattr(sys.modules.get(package), "__version__", "unknown"))
    # names the build, which the metadata of CUDA wheels leaves out
    found["torch"] = str(torch.__version__)
    return found


@cache
def code_hash() -> str:
    """Hash of pacpde's own sources, as far as results depend on them."""
    files = [
        *ROOT.glob("*.py"),
        *(file for room in ROOT.iterdir() if room.is_dir() for file in room.rglob("*.py")),
    ]
    relevant = sorted(
        (file.relative_to(ROOT).as_posix(), file)
        for file in files
        if not file.relative_to(ROOT).parts[0].startswith(IRRELEVANT)
    )
    content = b"".join(name.encode() + b"\0" + file.read_bytes() for name, file in relevant)
    return hashlib.sha256(content).hexdigest()[:16]
