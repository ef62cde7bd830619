"""References and labels in HDF5 files that say how they were made."""

from pacpde.datasets.cache import reference_for
from pacpde.datasets.generate import check_labels, draw_labels, write
from pacpde.datasets.grading import References, grading_reference, transfer_references
from pacpde.datasets.load import load
from pacpde.datasets.schema import Dataset, Labels

__all__ = [
    "Dataset",
    "Labels",
    "References",
    "check_labels",
    "draw_labels",
    "grading_reference",
    "load",
    "reference_for",
    "transfer_references",
    "write",
]
