"""Surrogates as folders: `weights.safetensors` and `surrogate.json`; no pickle anywhere."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from pacpde.errors import DataFileError, PacpdeError
from pacpde.files import atomic_folder, check_folder
from pacpde.networks.constraints import Ansatz, PhysicsAnsatz, PlainAnsatz
from pacpde.networks.mlp import MLP
from pacpde.networks.surrogate import Memory, Surrogate
from pacpde.physics.problem import families
from pacpde.runtime import Runtime, versions

SCHEMA = 1
WEIGHTS, ABOUT = "weights.safetensors", "surrogate.json"


def save(surrogate: Surrogate, folder: str | Path) -> None:
    """Write the folder whole, or leave what was there."""
    tensors = {"weights": surrogate.weights.cpu()}
    for name, memory in surrogate.memories.items():
        tensors[f"mask/{name}"] = memory.mask.cpu()
    about = {
        "schema": SCHEMA,
        **_describe(surrogate.ansatz),
        "network": dataclasses.asdict(surrogate.network),
        "memories": {name: _describe(m.ansatz) for name, m in surrogate.memories.items()},
        "stage": surrogate.stage,
        "outcome": surrogate.outcome,
        "seconds": surrogate.seconds,
        "history": list(surrogate.history),
        "versions": versions(),
    }
    with atomic_folder(folder) as temporary:
        (temporary / WEIGHTS).write_bytes(save_tensors(tensors))
        (temporary / ABOUT).write_text(json.dumps(about, indent=1))


def load(folder: str | Path, runtime: Runtime | None = None) -> Surrogate:
    """The surrogate in a folder, on the CPU in its own precision unless `runtime` says else."""
    place = Path(folder)
    try:
        about = json.loads((place / ABOUT).read_text())
        tensors = load_tensors((place / WEIGHTS).read_bytes())
        surrogate = _assemble(about, tensors)
    except PacpdeError:
        raise
    except FileNotFoundError as error:
        raise DataFileError(
            f"{str(folder)!r} is no surrogate folder: it lacks {Path(str(error.filename)).name}; "
            "make one with `pacpde train`."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise DataFileError(
            f"surrogate folder {str(folder)!r} is damaged ({type(error).__name__}): train it anew."
        ) from error
    return surrogate if runtime is None else surrogate.to(runtime)


def check_place(folder: str | Path) -> Path:
    """`folder`, if `save` may take its place; OutputError where it holds anything else."""
    return check_folder(folder, WEIGHTS, ABOUT, every=True)


def exists(folder: str | Path) -> bool:
    """Whether a folder holds a surrogate."""
    return (Path(folder) / ABOUT).is_file()


def remove(folder: str | Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _assemble(about: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Surrogate:
    if about["schema"] != SCHEMA:
        raise DataFileError(
            f"the surrogate has schema {about['schema']!r}, this pacpde reads {SCHEMA}."
        )
    network = MLP(**about["network"])
    weights = tensors["weights"]
    if weights.shape != (network.size,):
        raise ValueError("weights do not fit the network")
    memories = {
        name: Memory(_ansatz(described), tensors[f"mask/{name}"])
        for name, described in about["memories"].items()
    }
    return Surrogate(
        network,
        _ansatz(about),
        weights,
        memories,
        about["stage"],
        about["outcome"],
        tuple(about["history"]),
        about["seconds"],
    )


def _describe(ansatz: Ansatz) -> dict[str, Any]:
    if isinstance(ansatz, PhysicsAnsatz):
        problem = ansatz.problem
        return {
            "family": problem.name,
            "coefficients": problem.coefficients,
            "until": problem.until,
            "constraints": {"hard": ansatz.hard, "odd": ansatz.odd},
        }
    assert isinstance(ansatz, PlainAnsatz)
    return {"family": None, "constraints": dataclasses.asdict(ansatz)}


def _ansatz(about: dict[str, Any]) -> Ansatz:
    if about["family"] is None:
        return PlainAnsatz(**{k: tuple(v) for k, v in about["constraints"].items()})
    problem = families.get(about["family"]).from_coefficients(about["coefficients"], about["until"])
    return PhysicsAnsatz(problem, **about["constraints"])
