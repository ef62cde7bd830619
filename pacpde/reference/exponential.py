"""Exponential collocation in time: the linear part of an evolution in Fourier modes is exact.

Over a step of length h, with N a polynomial of degree ten through its values at the nodes of it,

    û(τ) = e^{τL} û(0) + ∫₀^τ e^{(τ−s)L} N(s, û(s)) ds

at all nodes τ is found by iteration from N = N(0, û(0)). Hochbruck & Ostermann, Appl. Numer. Math.
53 (2005), eq. (2.3). A step is a power of ½ of the span, halved where ten degrees do not resolve
the solution in it.
"""

from collections.abc import Callable

import numpy as np
from numpy.polynomial import chebyshev, legendre
from scipy.special import ive

from pacpde.reference.dense import DEGREE, UNIT, DenseSolution, lagrange
from pacpde.reference.modes import Modes
from pacpde.reference.windows import Stepped

SWEEPS = 30  # iterations of a step
SETTLED = 1e-2  # of the tolerance: the change of the last one
RESOLVED = 1.0  # of the tolerance: the two highest degrees in time
EASY = 2**-11  # of that, where a step twice as long is resolved
PATIENCE = 4  # steps between a halving and the next doubling
WHOLE = 2**40  # parts of the span, of which the shortest step has one
TABLES = 8  # weights of so many step lengths are kept
TINY = 1e-20  # an argument for which Bessel functions are those of 0
HIGHEST = np.linalg.inv(chebyshev.chebvander(2 * UNIT - 1, DEGREE))[-2:]

Rest = Callable[[np.ndarray, np.ndarray], np.ndarray]


def step_exponentially(
    modes: Modes, rest: Rest, tolerance: float, longest: Callable[[float], float]
) -> Stepped:
    """All steps over the span.

    Args:
        rest: N at times and modes, `modes.rest`.
        tolerance: error of every step, relative to the fields plus their scales.
        longest: the longest step at a time.
    """
    stepper = _Stepper(modes, rest, tolerance)
    begin, end = modes.system.span
    steps, times, values = [begin], [np.array([begin])], [modes.system.start[None]]
    state = modes.of(values[0])[0]
    position, length, calm = 0, WHOLE, 0  # in parts of the span; steps since the last halving
    while position < WHOLE:
        h = (end - begin) * length / WHOLE
        found = stepper.step(steps[-1], h, state) if h <= longest(steps[-1]) else None
        if found is None:
            length, calm = length // 2, 0
            if not length:
                return Stepped(lambda t: t, np.array(steps), True, values[-1][-1])
            continue
        nodes, share = found
        position, state, calm = position + length, nodes[-1], calm + 1
        nodal = steps[-1] + h * UNIT[1:]
        steps.append(begin + (end - begin) * position / WHOLE)
        nodal[-1] = steps[-1]
        times.append(nodal)
        values.append(modes.states(nodes))
        if calm >= PATIENCE and share < EASY and position % (2 * length) == 0:
            length *= 2
    dense = DenseSolution(np.concatenate(times), (), np.concatenate(values)[:, None])
    return Stepped(lambda t: dense.in_time(t)[:, 0].T, np.array(steps), False, values[-1][-1])


class _Stepper:
    """Steps of any length from any state, in modes [n, modes...]."""

    def __init__(self, modes: Modes, rest: Rest, tolerance: float) -> None:
        self.modes, self.rest, self.tolerance = modes, rest, tolerance
        self.scales = modes.system.scale.reshape(len(modes.eigenvalues), -1)[:, 0]
        self._tables: dict[float, tuple[np.ndarray, np.ndarray]] = {}

    def step(self, t: float, h: float, state: np.ndarray) -> tuple[np.ndarray, float] | None:
        """The modes at the nodes but the first, and the share of the highest degrees in time.

        The share is one of what the tolerance allows; None where it is above 1, or where the
        iteration does not settle.
        """
        growth, weights = self._table(h)
        sizes = self.tolerance * (self.scales + self.modes.sizes(state))
        times = t + h * UNIT
        free = growth * state
        first = self.rest(times[:1], state[None])
        rest = np.repeat(first, len(UNIT), 0)
        nodes = free + np.einsum("mj...,j...->m...", weights, rest)
        for _ in range(SWEEPS):
            rest[1:] = self.rest(times[1:], nodes)
            before, nodes = nodes, free + np.einsum("mj...,j...->m...", weights, rest)
            change = self.modes.sizes(np.abs(nodes - before).max(0)) / sizes
            if not np.isfinite(change).all():
                return None
            if change.max() < SETTLED:
                every = np.concatenate([state[None], nodes])
                highest = np.abs(np.tensordot(HIGHEST, every, 1)).max(0)
                share = float((self.modes.sizes(highest) / sizes).max()) / RESOLVED
                return (nodes, share) if share <= 1 else None
        return None

    def _table(self, h: float) -> tuple[np.ndarray, np.ndarray]:
        """e^{τL} at the nodes τ but the first, and the weights of N."""
        if h not in self._tables:
            if len(self._tables) == TABLES:
                del self._tables[next(iter(self._tables))]
            values, where = np.unique(h * self.modes.eigenvalues, return_inverse=True)
            shape = self.modes.eigenvalues.shape
            growth = np.exp(np.multiply.outer(UNIT[1:], values))[:, where.ravel()]
            weights = h * collocation_weights(values)[..., where.ravel()]
            self._tables[h] = (
                growth.reshape(-1, *shape), weights.reshape(*weights.shape[:2], *shape),
            )  # fmt: skip
        return self._tables[h]


def collocation_weights(z: np.ndarray) -> np.ndarray:
    """∫₀^τ e^{(τ−s)z} ℓⱼ(s) ds for each node τ but the first, [DEGREE, DEGREE + 1, len(z)].

    ℓⱼ is the polynomial of degree ten that is 1 at one node of [0, 1] and 0 at the others. In
    Legendre polynomials over [0, τ] the integrals are modified spherical Bessel functions, DLMF
    10.54.2, which lose no digits at any z.
    """
    points, measure = legendre.leggauss(DEGREE + 2)
    degrees = np.arange(DEGREE + 1)
    projection = (degrees + 0.5)[:, None] * (
        legendre.legvander(points, DEGREE) * measure[:, None]
    ).T
    result = []
    for node in UNIT[1:]:
        at = node * (points + 1) / 2
        values = lagrange(np.broadcast_to(UNIT, (len(at), len(UNIT))), at)
        result.append(node * np.tensordot((projection @ values).T, _integrals(node * z), 1))
    return np.stack(result)


def _integrals(z: np.ndarray) -> np.ndarray:
    """∫₀¹ e^{(1−s)z} P(2s − 1) ds for Legendre polynomials P of degrees 0 to ten, [11, len(z)]."""
    degrees = np.arange(DEGREE + 1)[:, None]
    decays = z.real <= 0
    half = np.where(decays, -z, z) / 2
    half = np.where(np.abs(half) < TINY, TINY, half)
    size = np.exp(z / 2 + half.real) * np.sqrt(np.pi / (2 * half))
    return size * ive(degrees + 0.5, half) * np.where(decays, 1.0, -1.0) ** degrees
