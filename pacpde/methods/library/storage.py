"""Libraries as folders: `library.json` and `library.safetensors`."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pacpde.methods.library.anchors import Anchors
from pacpde.methods.library.backbone import Backbone
from pacpde.methods.library.coordinates import CoefficientRange
from pacpde.methods.library.head_solver import HeadSolver
from pacpde.methods.library.kept import Kept
from pacpde.methods.library.targets import TargetEquations
from pacpde.networks.network_sum import NetworkSum
from pacpde.networks.sealed import SealedFolder
from pacpde.networks.surrogate_json import as_json, from_json, tensors_of
from pacpde.runtime import Runtime, versions

if TYPE_CHECKING:
    from pacpde.methods.library.library import Library

FOLDER = SealedFolder(
    "library folder", "library", "library.json", "library.safetensors", 1,
    "pacpde library build", "runs/library", "build it anew",
)  # fmt: skip
OF_NUMPY = ("anchors/units", "anchors/shares", "anchors/factors")


def write(library: "Library", folder: str | Path) -> None:
    """Write a library whole, or leave what was there."""
    FOLDER.path(folder)
    box, anchors = library.box, library.anchors
    about = {
        "family": box.problem.name,
        "coefficients": box.problem.coefficients,
        "until": box.problem.until,
        "ranges": {name: list(pair) for name, pair in box.ranges.items()},
        "tolerance": library.tolerance,
        "call": library.call,
        "sources": [as_json(source) for source in library.sources],
        "backbones": [one.network.settings for one in library.backbones],
        "kept": [one.as_json() for one in library.kept.values()],
        "versions": versions(),
    }
    tensors: dict[str, torch.Tensor] = {
        "anchors/units": torch.from_numpy(anchors.units),
        "anchors/heads": anchors.heads,
        "anchors/shares": torch.from_numpy(anchors.shares),
        "anchors/factors": torch.from_numpy(anchors.factors),
        "points": library.equations.points,
        "held_out": library.solver.held_out.points,
    }
    for k, source in enumerate(library.sources):
        tensors |= {f"sources/{k}/{name}": own for name, own in tensors_of(source).items()}
    for k, backbone in enumerate(library.backbones):
        tensors[f"backbones/{k}/trunks"] = backbone.trunks
        tensors[f"backbones/{k}/basis"] = backbone.basis
        rows = [one.rows for one in library.kept.values() if one.backbone == k]
        if rows:
            tensors[f"kept/{k}"] = torch.stack(rows)
    FOLDER.write(folder, about, {k: own.cpu().contiguous() for k, own in tensors.items()})


def read(kind: type["Library"], folder: str | Path, runtime: Runtime) -> "Library":
    """The library in a folder, on a device and in the precision that it was built in."""
    return FOLDER.load(folder, partial(_made, kind, runtime.torch_device))


def _made(
    kind: type["Library"],
    device: torch.device,
    about: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
) -> "Library":
    library = object.__new__(kind)
    tensors = {name: own if name in OF_NUMPY else own.to(device) for name, own in tensors.items()}
    sources = [
        from_json(own, _below(tensors, f"sources/{k}/")) for k, own in enumerate(about["sources"])
    ]
    problem = type(sources[0].problem).from_coefficients(about["coefficients"], about["until"])
    library.tolerance, library.call = float(about["tolerance"]), about["call"]
    library.sources = sources
    ranges = {name: tuple(pair) for name, pair in about["ranges"].items()}
    library.box = CoefficientRange(problem, ranges)
    ansatz = sources[0].field_ansatz
    library.backbones = [
        Backbone(
            NetworkSum.from_settings(settings),
            tensors[f"backbones/{k}/trunks"],
            ansatz,
            tensors[f"backbones/{k}/basis"],
        )
        for k, settings in enumerate(about["backbones"])
    ]
    equations, held_out = (
        TargetEquations(library.backbone, tensors[name], seed, library.box.names)
        for seed, name in enumerate(("points", "held_out"))
    )
    library.solver = HeadSolver(library.box, equations, held_out)
    library.anchors = Anchors(
        np.asarray(tensors["anchors/units"]),
        tensors["anchors/heads"],
        np.asarray(tensors["anchors/shares"]),
        np.asarray(tensors["anchors/factors"]),
    )
    library.kept, taken = {}, dict.fromkeys(range(len(library.backbones)), 0)
    for own in about["kept"]:
        number = own["backbone"]
        one = Kept.from_json(own, library.box, tensors[f"kept/{number}"][taken[number]])
        taken[number] += 1
        library.kept[one.problem] = one
    return library


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): own for name, own in tensors.items() if name.startswith(prefix)
    }
