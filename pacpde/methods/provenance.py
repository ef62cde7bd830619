"""What a surrogate says of how it was made: enough to make it again, and to tell what changed.

Plain JSON, one entry an input: the problem with the fingerprint of its family, the seed, every
setting and option with its value, device and dtype, the number of threads, versions. That of a
transfer holds that of its source.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pacpde.datasets.grading import References
from pacpde.files import short_hash
from pacpde.networks.surrogate import Surrogate
from pacpde.optim.scheduler import stacking
from pacpde.physics.fingerprint import Fingerprint, foreign_classes, source_hash
from pacpde.physics.problem import Problem
from pacpde.reference import Reference
from pacpde.runtime import Runtime, code_hash, versions
from pacpde.training.config import TrainingConfig

if TYPE_CHECKING:
    from pacpde.methods.arguments import Settings
    from pacpde.methods.base import Method

Provenance = dict[str, Any]

# what may differ between two runs of the same command
CIRCUMSTANCES = ("threads", "stacked", "references")


def of_fit(problem: Problem, config: TrainingConfig, seed: int, runtime: Runtime) -> Provenance:
    """Of `fit`."""
    return _about("fit", runtime, problem=of_problem(problem), seed=seed, settings=config.as_json())


def of_transfer(
    source: Surrogate,
    target: Problem,
    method: "Method",
    config: TrainingConfig,
    seed: int,
    runtime: Runtime,
    *,
    references: References | None = None,
    **task: Any,
) -> Provenance:
    """Of `transfer`; `task` holds labels, noise and physics.

    Args:
        references: what grades it, and what labels are drawn from.
    """
    return _about(
        "transfer",
        runtime,
        **_of_source(source),
        problem=of_problem(target),
        method=method.name,
        options=method.options,
        method_source=source_hash(foreign_classes(type(method))),
        seed=seed,
        **task,
        settings=config.as_json(),
        references=references and {
            "source": of_reference(references.source), "target": of_reference(references.target),
        },
    )  # fmt: skip


def of_sequence(
    source: Surrogate,
    targets: Sequence[Problem],
    options: Mapping[str, Any],
    seed: int,
    settings: "Settings",
) -> Provenance:
    """Of `transfer_in_turn`; `options` holds its sparsity, share and strength."""
    return _about(
        "transfer_in_turn",
        source.runtime,
        **_of_source(source),
        problems=[of_problem(target) for target in targets],
        options=dict(options),
        seed=seed,
        settings=_as_json(settings),
    )


def of_import(problem: Problem, runtime: Runtime, package: str) -> Provenance:
    """Of a network that another package trained; of its training nothing is known."""
    return _about(f"imported from {package}", runtime, problem=of_problem(problem))


def of_identification(
    source: Surrogate,
    points: np.ndarray,
    values: np.ndarray,
    unknown: Sequence[str] | None,
    seed: int,
    settings: "Settings",
) -> Provenance:
    """Of `identify`; a hash stands for the measurements themselves."""
    measured = np.ascontiguousarray(points, float).tobytes() + np.asarray(values, float).tobytes()
    return _about(
        "identify",
        source.runtime,
        **_of_source(source),
        problem=of_problem(source.problem),
        measurements=short_hash(measured),
        unknown=None if unknown is None else list(unknown),
        seed=seed,
        settings=_as_json(settings),
    )


def of_problem(problem: Problem) -> Provenance:
    """A problem, and what its family's equation is."""
    return {
        "family": problem.name,
        "coefficients": problem.coefficients,
        "until": problem.until,
        "fingerprint": Fingerprint.of(problem).short,
    }


def of_reference(reference: Reference | None) -> Provenance | None:
    """The certificate of a reference, and a hash that tells its values from another's."""
    if reference is None:
        return None
    values = short_hash(np.ascontiguousarray(reference.values).tobytes())
    return {
        "tolerance": reference.tolerances.get("target"),
        "certified_error": reference.certified_error,
        "values": values,
    }


def weights_hash(surrogate: Surrogate) -> str:
    """Two surrogates of the same weights have the same one."""
    return short_hash(surrogate.weights.detach().cpu().contiguous().numpy().tobytes())


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two surrogates were made by the same call, however many threads there were."""
    return bool(essence(one) == essence(other))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The entries in which two provenances differ."""
    ours, theirs = essence(one), essence(other)
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    found: list[str] = []
    for name in names:
        inner, outer = ours.get(name), theirs.get(name)
        if isinstance(inner, dict) and isinstance(outer, dict) and name != "source":
            found += [key for key in {**inner, **outer} if inner.get(key) != outer.get(key)]
        else:
            found.append(name)
    return found


def essence(provenance: Any) -> Any:
    """A provenance without what may differ between two runs of the same command."""
    if isinstance(provenance, Mapping):
        return {
            str(name): essence(value)
            for name, value in provenance.items()
            if name not in CIRCUMSTANCES
        }
    return provenance


def _of_source(source: Surrogate) -> Provenance:
    return {
        "source": dict(source.provenance) or None,
        "source_weights": weights_hash(source),
    }


def _about(call: str, runtime: Runtime, **inputs: Any) -> Provenance:
    """A call with its inputs and its environment, as they come back from a file."""
    environment = {
        "device": runtime.device,
        "dtype": runtime.dtype,
        "threads": torch.get_num_threads(),  # of several workers each has one
        "stacked": stacking.get(),
        "versions": versions(),
        "code": code_hash(),
    }
    content = {"call": call, **inputs, **environment}
    return dict(json.loads(json.dumps(content, default=str)))


def _as_json(settings: "Settings") -> Provenance:
    """Settings as they were given: those of a mapping, or all."""
    return settings.as_json() if isinstance(settings, TrainingConfig) else dict(settings)
