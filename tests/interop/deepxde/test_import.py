"""The interop leaves torch's defaults as they were, and says what is wrong with a backend."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )


def test_its_import_puts_device_and_dtype_back(tmp_path: Path) -> None:
    """DeepXDE moves the default device where torch says that there is a GPU."""
    done = run(
        "import torch\n"
        "torch.cuda.is_available = lambda: True\n"
        "import pacpde.interop.deepxde\n"
        "import deepxde, os\n"
        "print(torch.get_default_device(), torch.get_default_dtype(), os.getenv('DDE_BACKEND'))\n",
        HOME=str(tmp_path),
    )
    assert done.stdout.split() == ["cpu", "torch.float32", "None"], done.stderr
    assert not (tmp_path / ".deepxde").exists()


def test_what_a_script_has_set_before_stays() -> None:
    done = run(
        "import torch, deepxde\n"
        "deepxde.config.set_default_float('float64')\n"
        "torch.set_default_device('meta')\n"
        "import pacpde.interop.deepxde\n"
        "print(torch.get_default_device(), torch.get_default_dtype())\n",
        DDE_BACKEND="pytorch",
    )
    assert done.stdout.split("\n")[-2].split() == ["meta", "torch.float64"], done.stderr


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        ("sys.modules['deepxde'] = None", "MissingPackageError: DeepXDE is not installed"),
        (
            "import deepxde; deepxde.backend.backend_name = 'jax'",
            "InvalidValueError: DeepXDE runs on its backend 'jax' here",
        ),
    ],
)
def test_without_deepxde_or_on_another_backend(break_it: str, expected: str) -> None:
    done = run(f"import sys\n{break_it}\nimport pacpde.interop.deepxde\n", DDE_BACKEND="pytorch")
    assert done.returncode == 1
    assert expected in done.stderr.split("\n")[-2]
