"""PAC's stages as tensors by name, to be stored in one file and made again."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from pacpde.errors import DataFileError
from pacpde.networks.frozen import (
    Tensors,
    copy_with_values,
    frozen_parts,
    merged_state,
    plain_copy,
)
from pacpde.networks.probe import Probe, relative_difference
from pacpde.networks.sealed_file import SealedFile
from pacpde.runtime import versions

FILE = SealedFile("file of PAC's stages", "PAC stages", 1, "stages.safetensors")

STAGES = (["source"], ["source", "allocated"], ["source", "allocated", "recalled", "calibrated"])
LARGEST = sys.float_info.max
OTHER_PARTS = "the file of PAC's stages holds other parts than this pacpde writes"


@dataclass(frozen=True)
class Stages:
    """What a file holds.

    Attributes:
        source: a plain module.
        probe: with the inputs at which modules were tried; None for none.
        mask: of the weights that the source keeps; empty before `prune`.
        allocated: as it is; None before `allocate`.
        calibrated: (the source to recall, the target, λ); None before `calibrate`.
    """

    source: nn.Module
    probe: Probe | None
    mask: Tensors
    allocated: nn.Module | None
    calibrated: tuple[nn.Module, nn.Module, float] | None

    def write(self, path: str | Path, more: Tensors) -> None:
        """Write the file; see `PAC.save`."""
        stages = {"source": self.source}
        about: dict[str, Any] = {"module": type(self.source).__name__, "versions": versions()}
        if self.allocated is not None:
            stages["allocated"] = self.allocated
        if self.calibrated is not None:
            stages["recalled"], stages["calibrated"], about["strength"] = self.calibrated
        about["stages"] = list(stages)
        about["tuple"] = self.probe is not None and isinstance(self.probe.inputs, tuple)
        tensors = {f"mask/{name}": own for name, own in self.mask.items()}
        tensors |= {f"more/{name}": own for name, own in more.items()}
        for stage, module in stages.items():
            tensors |= _weights_and_buffers(stage, module)
        tensors |= _inputs_and_outputs(self.probe, stages)
        FILE.write(path, about, tensors)

    @classmethod
    def of(
        cls, about: Mapping[str, Any], tensors: Tensors, module: nn.Module, probe: Probe | None
    ) -> "Stages":
        """The stages in a file, whose modules are all plain; see `PAC.of_content`.

        Raises:
            DataFileError: they are of another module, or it gives something else here.
        """
        _check_parts(about, tensors)
        names = [name for name in ("source", "allocated", "recalled") if name in about["stages"]]
        plain = {name: _with_stored(module, tensors, name) for name in names}
        probe = _stored_probe(tensors, probe, about["tuple"])
        for name in {"source", "recalled"} & plain.keys():
            _check_outputs(probe, tensors, name, plain[name])
        source = plain["source"]
        device = next(source.parameters()).device
        mask = {name: own.to(device) for name, own in part(tensors, "mask").items()}
        if mask or len(names) > 1:
            _check_mask(mask, merged_state(source))
        calibrated = None
        if "calibrated" in about["stages"]:
            latest = _with_stored(module, tensors, "calibrated")
            calibrated = plain["recalled"], latest, about["strength"]
        return cls(source, probe, mask, plain.get("allocated"), calibrated)


def part(tensors: Tensors, *path: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin so, by the rest of their names."""
    start = "".join(f"{own}/" for own in path)
    return {
        name.removeprefix(start): own for name, own in tensors.items() if name.startswith(start)
    }


def set_trained(module: nn.Module, latest: nn.Module) -> None:
    """Put the weights and buffers of a plain module into one that is frozen in part."""
    held = {name: (inside, function) for name, inside, function in frozen_parts(module)}
    plain, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    with torch.no_grad():
        for name, value in merged_state(latest).items():
            if name in held:
                inside, function = held[name]
                lists: Any = inside.parametrizations
                original = lists[name.rpartition(".")[2]].original
                original.copy_(function.right_inverse(value))
            else:
                plain[name].copy_(value)
        for name, own in latest.named_buffers():
            buffers[name].copy_(own)


def _check_parts(about: Mapping[str, Any], tensors: Tensors) -> None:
    """Refuse a description that lacks something, or says what no PAC writes."""
    strength = about.get("strength")
    calibrated = isinstance(strength, float | int) and 0 <= strength <= LARGEST
    numbers = [
        list(part(tensors, *path))
        for path in (("inputs",), ("source", "outputs"), ("recalled", "outputs"))
    ]
    if (
        about.get("stages") not in STAGES
        or not isinstance(about.get("tuple"), bool)
        or ("calibrated" in about["stages"] and not calibrated)
        or not all(set(own) == set(map(str, range(len(own)))) for own in numbers)
    ):
        raise DataFileError(f"{OTHER_PARTS}: save it anew.")


def _check_mask(mask: Tensors, values: Tensors) -> None:
    """Refuse a mask of another module, or one that is none."""
    if mask.keys() != values.keys() or not all(
        own.dtype == torch.bool and own.shape == values[name].shape for name, own in mask.items()
    ):
        raise DataFileError(f"{OTHER_PARTS}, in its mask: save it anew.")


def _weights_and_buffers(stage: str, module: nn.Module) -> dict[str, torch.Tensor]:
    """Those of a module, frozen or not, by stage, what they are and name."""
    values = {f"{stage}/weights/{name}": own for name, own in merged_state(module).items()}
    buffers = plain_copy(module).named_buffers()
    return values | {f"{stage}/buffers/{name}": own for name, own in buffers}


def _with_stored(module: nn.Module, tensors: Tensors, stage: str) -> nn.Module:
    """A plain copy of a module with the weights and buffers of a stage."""
    copy = plain_copy(module)
    parts = ("weights", merged_state(copy)), ("buffers", dict(copy.named_buffers()))
    for what, own in parts:
        stored = part(tensors, stage, what)
        differ = sorted(
            name for name in own.keys() | stored.keys()
            if name not in own or name not in stored
            or (own[name].shape, own[name].dtype) != (stored[name].shape, stored[name].dtype)
        )  # fmt: skip
        if differ:
            raise DataFileError(
                f"the {what} in the file are of another module than the one that was given: "
                f"{', '.join(differ[:4])} differ in name, shape or precision. Give a module of the "
                "class and sizes of the source."
            )
    copy = copy_with_values(copy, part(tensors, stage, "weights"))
    buffers = part(tensors, stage, "buffers")
    with torch.no_grad():
        for name, buffer in copy.named_buffers():
            buffer.copy_(buffers[name])
    return copy


def _inputs_and_outputs(
    probe: Probe | None, modules: Mapping[str, nn.Module]
) -> dict[str, torch.Tensor]:
    """The inputs of a probe, and the outputs of the source and of the one to recall there."""
    if probe is None:
        return {}
    leaves = [own for own in tree_leaves(probe.inputs) if isinstance(own, torch.Tensor)]
    tensors = {f"inputs/{number}": own for number, own in enumerate(leaves)}
    for stage in ("source", "recalled"):
        if stage in modules:
            outputs = enumerate(probe.outputs(modules[stage]))
            tensors |= {f"{stage}/outputs/{number}": own for number, own in outputs}
    return tensors


def _stored_probe(tensors: Tensors, probe: Probe | None, is_tuple: bool) -> Probe | None:
    """A probe with the inputs that were stored; None where none were."""
    inputs = part(tensors, "inputs")
    if not inputs:
        return probe
    stored = [inputs[str(number)] for number in range(len(inputs))]
    if probe is None:
        return Probe(tuple(stored) if is_tuple else stored[0])
    leaves, shape = tree_flatten(probe.inputs)
    places = [number for number, own in enumerate(leaves) if isinstance(own, torch.Tensor)]
    if len(places) != len(stored):
        raise DataFileError(
            f"the file has {len(stored)} inputs of the network, and the data {len(places)}: give "
            "data of the kind of the source's."
        )
    for number, own in zip(places, stored, strict=True):
        leaves[number] = own.to(leaves[number])
    return replace(probe, inputs=tree_unflatten(leaves, shape))


def _check_outputs(probe: Probe | None, tensors: Tensors, stage: str, module: nn.Module) -> None:
    """Refuse a module that gives something else than what was stored, by more than rounding.

    Rounding may differ between machines: √eps of the outputs is left to it.
    """
    stored = part(tensors, stage, "outputs")
    if probe is None or not stored:
        return
    outputs = probe.outputs(module)
    if len(outputs) != len(stored):
        raise DataFileError(
            f"the {stage} module out of the file gives {len(outputs)} tensors, and gave "
            f"{len(stored)} when it was saved: its class is another one here."
        )
    for number, now in enumerate(outputs):
        before = stored[str(number)].to(now.device)
        exact = not (now.is_floating_point() or now.is_complex())
        most = 0.0 if exact else torch.finfo(now.dtype).eps ** 0.5
        if not relative_difference(before, now) <= most:
            raise DataFileError(
                f"the {stage} module out of the file does not give what it gave when it was saved: "
                "its class, a transform, or a number that it reads is another one here."
            )
