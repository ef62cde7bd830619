"""Classification: scikit-learn's 8×8 digits, other ones, rotated and with noise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
from grounds_base import DISTILLED, SLOW, Attempt, Case, Found, Pair, Unit, values_of
from grounds_rivals import Classes
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from torch import nn

from pacpde import Surrogate
from pacpde.methods import fit_classes, transfer_classes
from pacpde.networks.module import TorchModule

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]

KNOWN = (0, 1, 2, 3, 4)  # digits of the source
SOURCE_ROWS = 400
BRIGHTEST = 16.0  # of a pixel
LEAST = 1e-15  # probability, so that a log-loss is finite


@dataclass(frozen=True)
class ImageCase(Case):
    """A classification; the error is the log-loss at the test images.

    Attributes:
        digits: of the target.
        change: of the target's images [rows, 8, 8].
        network: settings of the source's fit.
        steps: of a transfer.
    """

    digits: tuple[int, ...] = KNOWN
    change: Change = field(kw_only=True)
    network: Mapping[str, Any] = field(default_factory=lambda: {"width": 12, "steps": 25})
    steps: int = 15

    error = "log-loss"

    def pair(self, seed: int, settings: Mapping[str, int]) -> "ImagePair":
        before, others = source_images(seed)
        source = source_of(seed, tuple({**self.network, **settings}.items()))
        rng = np.random.default_rng(seed)
        pixels, classes = load_digits(return_X_y=True)
        if self.digits != KNOWN:
            others = np.flatnonzero(np.isin(classes, self.digits))
        others = rng.permutation(others)
        images = self.change(pixels[others].reshape(-1, 8, 8), rng).clip(0, BRIGHTEST)
        images, classes = images.reshape(-1, 64), classes[others]
        first = balanced(classes, max(labels for labels, _ in self.units))
        rest = np.setdiff1d(np.arange(len(classes)), first)
        return ImagePair(
            seed, source, before, (images[first], classes[first]), (images[rest], classes[rest]),
            {"steps": self.steps, **settings},
        )  # fmt: skip


@cache
def source_images(seed: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The source's images and their digits; and numbers of the other images of these digits."""
    pixels, classes = load_digits(return_X_y=True)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(np.isin(classes, KNOWN)))
    own, others = rows[:SOURCE_ROWS], rows[SOURCE_ROWS:]
    return (pixels[own], classes[own]), others


@cache
def source_of(seed: int, settings: tuple[tuple[str, Any], ...]) -> Surrogate:
    """The same one for all cases of a seed."""
    return fit_classes(*source_images(seed)[0], seed=seed, settings=dict(settings))


def balanced(classes: np.ndarray, count: int) -> np.ndarray:
    """Numbers of `count` rows, which hold every class in turn, [count]."""
    known = np.unique(classes)
    each = [np.flatnonzero(classes == one)[: count // len(known)] for one in known]
    return np.stack(each, 1).ravel()


@dataclass(frozen=True)
class ImagePair(Pair):
    """Of a classification; values are probabilities [test images, classes].

    Attributes:
        before, labels, test: pixels [rows, 64] and digits [rows], of the source and of the target.
    """

    seed: int
    source: Surrogate
    before: tuple[np.ndarray, np.ndarray]
    labels: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    settings: Mapping[str, int]

    @property
    def classes(self) -> list[int]:
        return sorted(set(self.labels[1].tolist()))

    @property
    def source_knows(self) -> bool:
        """Whether the source has the target's classes."""
        return list(self.source.class_labels) == self.classes

    def probabilities(self, surrogate: Surrogate) -> np.ndarray:
        return np.asarray(surrogate.probabilities(*self.test[0].T)).T

    def attempts(self, unit: Unit, methods: Sequence[str]) -> Iterator[tuple[str, Attempt]]:
        pixels, classes = (values[: unit[0]] for values in self.labels)
        if self.source_knows:
            yield "zero_shot", lambda: {"zero_shot": self.probabilities(self.source)}
        yield from Classes(self.source, pixels, classes, self.test[0]).attempts()
        for name in methods:
            yield name, partial(self.moved, name, pixels, classes)

    def moved(self, name: str, pixels: np.ndarray, classes: np.ndarray) -> Found:
        rows = DISTILLED if name in SLOW else None
        before = self.before[0][:rows], self.before[1][:rows]
        result = transfer_classes(
            self.source, pixels, classes, source_table=before, method=name,
            settings=self.settings, seed=self.seed,
        )  # fmt: skip
        return values_of(result, name, self.probabilities, allocated=self.source_knows)

    def measures(self, values: np.ndarray) -> dict[str, float]:
        numbers = np.searchsorted(self.classes, self.test[1])
        own = values[np.arange(len(values)), numbers]
        right = values.argmax(1) == numbers
        return {
            "error": float(-np.log(np.clip(own, LEAST, None)).mean()),
            "accuracy": float(right.mean()),
        }


def unchanged(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return images


def rotated(images: np.ndarray, rng: np.random.Generator, degrees: float = 20.0) -> np.ndarray:
    return np.asarray(rotate(images, degrees, axes=(2, 1), reshape=False, order=1))


def noisy(images: np.ndarray, rng: np.random.Generator, deviation: float = 4.0) -> np.ndarray:
    return images + rng.normal(0, deviation, images.shape)


def convolutional() -> TorchModule:
    """Two layers of filters for 8×8 images, 425 weights."""
    layers = (
        nn.Conv2d(1, 6, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 2), nn.Tanh(),
        nn.Flatten(), nn.Linear(32, len(KNOWN)),
    )  # fmt: skip
    return TorchModule(nn.Sequential(*layers), (1, 8, 8))


LABELS = tuple((count, 0.0) for count in (10, 25, 50, 100))  # in all; so many of each class
CHANGES: dict[str, tuple[tuple[int, ...], Change]] = {
    "5 to 9": ((5, 6, 7, 8, 9), unchanged),
    "rotated by 20°": (KNOWN, rotated),
    "with noise": (KNOWN, noisy),
}
DENSE: dict[str, Any] = {"slow_at": LABELS[1:2]}
FILTERS: dict[str, Any] = {
    "slow_at": LABELS[1:2],
    "slow": ("bss", "lwf"),  # without TransTailor, as the record
    "network": {"network": convolutional(), "steps": 25},
}
DIGITS = tuple(
    ImageCase(f"0 to 4 → {how}, {kind} network", LABELS, digits=digits, change=change, **about)
    for kind, about in (("dense", DENSE), ("convolutional", FILTERS))
    for how, (digits, change) in CHANGES.items()
)
