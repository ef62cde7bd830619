"""Provenance: the call that produced a surrogate, with all its inputs, as a JSON object.

It suffices to repeat the call, and to find what differs between two calls. It has one key an input:
the problem with the fingerprint of its family, the seed, every setting and option with its value,
device, dtype, number of threads, versions of packages. The provenance of a transfer contains the
provenance of its source.
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

# keys whose values may differ between two runs of the same command
NOT_COMPARED = ("threads", "stacked", "references")


def of_fit(
    problem: Problem,
    config: TrainingConfig,
    seed: int,
    runtime: Runtime,
    data: Mapping[str, Any] | None = None,
) -> Provenance:
    """Provenance of a call of `fit`.

    Args:
        data: about its measurements, if it has any, see `Measurements.summary`.
    """
    source = network_source(config)
    return _about(
        "fit",
        runtime,
        problem=of_problem(problem),
        seed=seed,
        settings=config.as_json(),
        **(data or {}),
        **({"network_source": source} if source else {}),
    )


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
    """Provenance of a call of `transfer`.

    Args:
        source: the trained surrogate.
        references: of source and target; they grade the result and give the labels.
        task: other arguments of the call: labels, noise, physics; of measurements that are given
            what `Measurements.summary` says.
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
    """Provenance of a call of `transfer_in_turn`.

    Args:
        options: its sparsity, share and strength.
    """
    return _about(
        "transfer_in_turn",
        source.runtime,
        **_of_source(source),
        problems=[of_problem(target) for target in targets],
        options=dict(options),
        seed=seed,
        settings=_as_json(settings),
    )


def of_library_solution(sources: Sequence[Surrogate], problem: Problem) -> Provenance:
    """Provenance of a solution by a library of these sources."""
    return _about(
        "library.solve",
        sources[0].runtime,
        problem=of_problem(problem),
        sources=[{"problem": of_problem(one.problem), "made": dict(one.provenance)}
                 for one in sources],
    )  # fmt: skip


def of_import(problem: Problem, runtime: Runtime, package: str) -> Provenance:
    """Provenance of a network that another package trained; its training is unknown.

    Args:
        package: name of the package, as "deepxde".
    """
    return _about(f"imported from {package}", runtime, problem=of_problem(problem))


def of_identification(
    source: Surrogate,
    points: np.ndarray,
    values: np.ndarray,
    unknown: Sequence[str] | None,
    seed: int,
    settings: "Settings",
) -> Provenance:
    """Provenance of a call of `identify`; the measurements appear as a hash.

    Args:
        points: where values were measured, [points, axes].
        values: measured values, [points, fields].
        unknown: names of the coefficients to identify; None for all.
    """
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
    """A problem: family, coefficients, end of the time span, fingerprint of the equation."""
    return {
        "family": problem.name,
        "coefficients": problem.coefficients,
        "until": problem.until,
        "fingerprint": Fingerprint.of(problem).short,
    }


def of_reference(reference: Reference | None) -> Provenance | None:
    """The certified error of a reference (None if unknown), its tolerance, a hash of its values."""
    if reference is None:
        return None
    values = short_hash(np.ascontiguousarray(reference.values).tobytes())
    return {
        "tolerance": reference.tolerances.get("target"),
        "certified_error": reference.known_error,
        "values": values,
    }


def network_source(config: TrainingConfig) -> str:
    """Hash of the files of a user whose code gives a network's outputs; "" without any."""
    return source_hash(own for cls in config.network_classes for own in foreign_classes(cls))


def weights_hash(surrogate: Surrogate) -> str:
    """Short hash of the weights' bytes: equal weights have equal hashes."""
    return short_hash(surrogate.weights.detach().cpu().contiguous().numpy().tobytes())


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names of the keys in which two provenances differ, none if they describe the same call.

    Keys in `NOT_COMPARED` are ignored.
    """
    ours, theirs = comparable(one), comparable(other)
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    found: list[str] = []
    for name in names:
        inner, outer = ours.get(name), theirs.get(name)
        if isinstance(inner, dict) and isinstance(outer, dict) and name != "source":
            found += [key for key in {**inner, **outer} if inner.get(key) != outer.get(key)]
        else:
            found.append(name)
    return found


def comparable(provenance: Any) -> Any:
    """A provenance without the keys in `NOT_COMPARED`, at every level."""
    if isinstance(provenance, Mapping):
        return {
            str(name): comparable(value)
            for name, value in provenance.items()
            if name not in NOT_COMPARED
        }
    return provenance


def _of_source(source: Surrogate) -> Provenance:
    return {
        "source": dict(source.provenance) or None,
        "source_weights": weights_hash(source),
    }


def _about(call: str, runtime: Runtime, **inputs: Any) -> Provenance:
    """A call with its inputs and environment, in the form that a JSON file gives back."""
    environment = {
        "device": runtime.device,
        "dtype": runtime.dtype,
        "threads": torch.get_num_threads(),  # each of several workers has one thread
        "stacked": stacking.get(),
        "versions": versions(),
        "code": code_hash(),
    }
    content = {"call": call, **inputs, **environment}
    return dict(json.loads(json.dumps(content, default=str)))


def _as_json(settings: "Settings") -> Provenance:
    """The entries of a mapping, or all settings of a `TrainingConfig`."""
    return settings.as_json() if isinstance(settings, TrainingConfig) else dict(settings)
