"""Writes a reference, and draws labels from one."""

import io
import json
from pathlib import Path

import h5py
import numpy as np

from pacpde.checks import check_count, check_nonnegative
from pacpde.datasets.schema import SCHEMA, UNSEALED, Labels, sealed
from pacpde.errors import InvalidValueError
from pacpde.files import atomic_write
from pacpde.physics.fingerprint import Fingerprint, check_registered
from pacpde.reference import Reference
from pacpde.reference.dense import DEGREE
from pacpde.runtime import generator, versions

LABELS = 1_000_000  # at most


def write(
    reference: Reference,
    path: str | Path,
    labels: Labels | None = None,
    *,
    overwrite: bool = True,
) -> None:
    """Write a dataset to one HDF5 file of schema 1, atomically.

    Args:
        reference: the certified reference.
        labels: points and values drawn from it; None for none.
        overwrite: whether an existing file is replaced.

    Raises:
        OutputError: the file cannot be written.
    """
    check_registered(reference.problem)
    whole = io.BytesIO()  # HDF5 itself, on a full disk, prints tracebacks and may end the process
    with h5py.File(whole, "w") as file:
        _write_attributes(file, reference)
        _write_fields(file, reference)
        _write_dense(file, reference)
        if labels is not None:
            _write_labels(file, labels)
    with atomic_write(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(sealed(whole.getvalue()))


def draw_labels(reference: Reference, count: int, *, seed: int = 0, noise: float = 0.0) -> Labels:
    """`count` scrambled Sobol points of the whole box, and the fields there with normal noise.

    Args:
        noise: standard deviation of the noise, in standard deviations of each field over the
            output grid.
    """
    check_labels(count, noise)
    check_count("labels", count, 1)
    points = reference.problem.domain.sample(int(count), generator(seed, "labels"))
    exact = reference(*points.T).T
    spread = reference.values.reshape(exact.shape[1], -1).std(axis=1)
    errors = generator(seed, "label noise").standard_normal(exact.shape)
    return Labels(points, exact + noise * spread * errors, int(seed), float(noise))


def check_labels(count: int, noise: float) -> None:
    """Refuse counts and noise levels that cannot be drawn, and noise without labels."""
    check_count("labels", count, 0, LABELS)
    check_nonnegative("noise", noise)
    if noise > 0 and count == 0:
        raise InvalidValueError(
            f"noise is {noise:g} and there are no labels: noise applies to labels, so give their "
            "number too or leave noise at 0."
        )


def _write_attributes(file: h5py.File, reference: Reference) -> None:
    problem = reference.problem
    file.attrs["schema"] = SCHEMA
    file.attrs["family"] = problem.name
    file.attrs["coefficients"] = json.dumps(problem.coefficients)
    if problem.until is not None:
        file.attrs["until"] = problem.until
    file.attrs["fingerprint"] = json.dumps(Fingerprint.of(problem).as_json())
    file.attrs["certified_error"] = reference.certified_error
    file.attrs["solver"] = reference.solver
    file.attrs["tolerances"] = json.dumps(reference.tolerances)
    file.attrs["seconds"] = reference.seconds
    file.attrs["versions"] = json.dumps(versions())
    file.attrs["checksum"] = np.bytes_(UNSEALED)


def _write_fields(file: h5py.File, reference: Reference) -> None:
    axes, fields = file.create_group("axes", track_order=True), file.create_group("fields")
    for name, grid in reference.axes.items():
        axes.create_dataset(name, data=grid).make_scale(name)
    for name, values in reference.fields.items():
        field = fields.create_dataset(name, data=values)
        for dimension, axis in zip(field.dims, reference.axes, strict=True):
            dimension.label = axis
            dimension.attach_scale(axes[axis])


def _write_dense(file: h5py.File, reference: Reference) -> None:
    dense = file.create_group("dense")
    dense.attrs["degree"] = DEGREE
    dense.attrs["form"] = reference.dense.form
    for name, values in reference.dense.arrays().items():
        dense.create_dataset(name, data=values)


def _write_labels(file: h5py.File, labels: Labels) -> None:
    group = file.create_group("labels")
    group.attrs["seed"] = labels.seed
    group.attrs["noise"] = labels.noise
    group.create_dataset("points", data=labels.points)
    group.create_dataset("values", data=labels.values)
