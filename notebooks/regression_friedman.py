# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Regression: Friedman #1 from 10 to 200 target labels
#
# No equation here. A plain dense network is fitted to a source table, and the stages of PAC
# (prune, allocate, calibrate) move it to a target of which few noisy labels are known. Beside it
# stand a warm start, a network from scratch, and regressors that know no source or use it in the
# simplest way. The paper (Myung et al., ICML 2022) has a study on Friedman #1 as well; settings
# and numbers here are our own.
#
# The task is Friedman #1 in the transfer variant of Pardoe & Stone (2010), 10 inputs on [0, 1] of
# which 5 matter:
#
# $$y = a_1\,10\sin(\pi(b_1x_1+c_1)(b_2x_2+c_2)) + a_2\,20(b_3x_3+c_3-\tfrac12)^2
#   + a_3\,10(b_4x_4+c_4) + a_4\,5(b_5x_5+c_5) + N(0,1)$$
#
# Sources draw $a, b \sim N(1, 0.1d)$ and $c \sim N(0, 0.05d)$; the target has $a=b=1$, $c=0$.

# %%
import os
import warnings
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from pacpde import Surrogate
from pacpde.methods import fit_table, transfer_table

# %matplotlib inline
SHORT = os.environ.get("PACPDE_SHORT") == "1"  # tiny, for the tests; its numbers mean nothing

# %% [markdown]
# ## Pairs of tables
#
# A pair has a source of 5,000 noisy rows, 200 noisy target labels of which every study takes the
# first so many, and 5,000 **noise-free** test points of the target and of the source. All methods
# of a seed get the same source network and the same labels.
#
# Reported pairs have the target above. Settings are tuned on other pairs, whose *targets* are drawn
# like sources: neither the reported target nor its labels are looked at to choose a setting.

# %%
LABELS = (10, 50) if SHORT else (10, 25, 50, 100, 200)
SEEDS = range(2) if SHORT else range(10)
TUNING_SEEDS = range(100, 101) if SHORT else range(100, 103)
SOURCE_ROWS, TEST_POINTS = (300, 500) if SHORT else (5000, 5000)
DISTANCE = 1.0  # d
NETWORK = {"width": 8, "steps": 10} if SHORT else {"width": 24, "steps": 60}


@dataclass(frozen=True)
class Friedman:
    """The function without its noise: a [4], b [5], c [5]."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Friedman":
        """Coefficients of a source."""
        wide, narrow = 0.1 * DISTANCE, 0.05 * DISTANCE
        return cls(rng.normal(1, wide, 4), rng.normal(1, wide, 5), rng.normal(0, narrow, 5))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        z = self.b * inputs[:, :5] + self.c
        return (
            self.a[0] * 10 * np.sin(np.pi * z[:, 0] * z[:, 1])
            + self.a[1] * 20 * (z[:, 2] - 0.5) ** 2
            + self.a[2] * 10 * z[:, 3]
            + self.a[3] * 5 * z[:, 4]
        )

    def table(self, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Inputs [rows, 10] and noisy outputs [rows]."""
        inputs = rng.uniform(size=(rows, 10))
        return inputs, self(inputs) + rng.normal(size=rows)


TARGET = Friedman(np.ones(4), np.ones(5), np.zeros(5))


@dataclass(frozen=True)
class Pair:
    """A source and a target of one seed."""

    seed: int
    network: Surrogate
    source_table: tuple[np.ndarray, np.ndarray]
    inputs: np.ndarray
    outputs: np.ndarray
    test: np.ndarray
    expected: np.ndarray
    source_expected: np.ndarray

    @classmethod
    def create(cls, seed: int, target: Friedman | None) -> "Pair":
        """With this target, or one drawn like a source."""
        rng = np.random.default_rng(seed)
        source = Friedman.sample(rng)
        target = target or Friedman.sample(rng)
        rows = source.table(SOURCE_ROWS, rng)
        labels = target.table(max(LABELS), rng)
        test = rng.uniform(size=(TEST_POINTS, 10))
        network = fit_table(*rows, seed=seed, **NETWORK)
        return cls(seed, network, rows, *labels, test, target(test), source(test))

    def transfer(self, method: str, labels: int, **options):
        """By a method of pacpde, from the first so many labels."""
        return transfer_table(
            self.network,
            self.inputs[:labels],
            self.outputs[:labels],
            source_table=self.source_table,
            method=method,
            seed=self.seed,
            **options,
        )

    def error(self, surrogate: Surrogate) -> float:
        """RMSE on the noise-free test points of the target."""
        return rmse(surrogate(*self.test.T), self.expected)


def rmse(predicted: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predicted - expected) ** 2)))


tuning = [Pair.create(seed, target=None) for seed in TUNING_SEEDS]
pairs = [Pair.create(seed, TARGET) for seed in SEEDS]
for pair in pairs:
    own, zero_shot = (
        rmse(pair.network(*pair.test.T), pair.source_expected),
        pair.error(pair.network),
    )
    print(f"seed {pair.seed}: RMSE on its source {own:.2f}, on the target {zero_shot:.2f}")

# %% [markdown]
# ## Tuning: eight trials for each method and number of labels
#
# Every method holds a fifth of its labels out and keeps the step with the lowest held-out error,
# which with 10 labels is a judgement by 2. So what really limits the fit is set beforehand. A warm
# start and a network from scratch have the number of Levenberg–Marquardt steps. PAC has λ, which
# pulls the freed weights to 0 and with it the target to the source: λ belongs to PAC as published,
# and neither baseline has the like of it. The row *PAC, λ = 0* below shows what the mask does
# alone. Sparsity is the paper's 0.8.

# %%
TRIALS = {
    "pac": [
        {"sparsity": 0.8, "strength": strength, "steps": 20, "allocate_steps": 40}
        for strength in (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    ],
    "warm_start": [{"steps": steps} for steps in (1, 2, 3, 5, 8, 12, 20, 40)],
    "scratch": [{"steps": steps} for steps in (1, 2, 3, 5, 8, 12, 20, 40)],
}
if SHORT:
    TRIALS = {method: trials[1::6] for method, trials in TRIALS.items()}


def score(method: str, labels: int, options: dict) -> float:
    """Mean log RMSE over the tuning pairs."""
    errors = [pair.error(pair.transfer(method, labels, **options).surrogate) for pair in tuning]
    return float(np.mean(np.log(errors)))


best_options = {
    (method, labels): min(trials, key=lambda options: score(method, labels, options))
    for method, trials in TRIALS.items()
    for labels in LABELS
}
for (method, labels), options in best_options.items():
    print(f"{method:10s} {labels:4d} labels: {options}")

# %% [markdown]
# ## What else could be done with these labels
#
# - **zero-shot**: the source network, untouched.
# - **rescaled source**: $y \approx \alpha + \beta\,s(x)$ with the source network $s$, two numbers
#   by least squares.
# - **gradient boosting** and a **Gaussian process** (scikit-learn, one length scale an input,
#   fitted by its marginal likelihood): the target's labels alone, no source.
# - **GP on residual**: a Gaussian process on $y - s(x)$, about the simplest transfer there is.


# %%
def gaussian_process() -> GaussianProcessRegressor:
    kernel = ConstantKernel() * RBF(np.ones(10), (0.1, 100)) + WhiteKernel(0.1, (1e-3, 10))
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


def baselines(pair: Pair, labels: int) -> dict[str, float]:
    """Name → RMSE on the noise-free test points."""
    inputs, outputs = pair.inputs[:labels], pair.outputs[:labels]
    here, there = pair.network(*inputs.T), pair.network(*pair.test.T)
    slope = np.stack([np.ones(labels), here], 1)
    (alpha, beta), *_ = np.linalg.lstsq(slope, outputs, rcond=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound is fine
        process = gaussian_process().fit(inputs, outputs)
        correction = gaussian_process().fit(inputs, outputs - here)
    boosted = GradientBoostingRegressor(random_state=0).fit(inputs, outputs)
    predictions = {
        "zero-shot": there,
        "rescaled source": alpha + beta * there,
        "gradient boosting": boosted.predict(pair.test),
        "Gaussian process": process.predict(pair.test),
        "GP on residual": there + correction.predict(pair.test),
    }
    return {name: rmse(predicted, pair.expected) for name, predicted in predictions.items()}


# %% [markdown]
# ## The study

# %%
NAMES = {"PAC": "pac", "warm start": "warm_start", "scratch": "scratch"}
errors: dict[tuple[str, int], list[float]] = {}
source_errors: dict[str, list[float]] = {}  # RMSE on the source: what the transfer has left of it
for pair in pairs:
    for labels in LABELS:
        results = {
            name: pair.transfer(method, labels, **best_options[method, labels])
            for name, method in NAMES.items()
        }
        unpenalised = {**best_options["pac", labels], "strength": 0.0}
        results["PAC, λ = 0"] = pair.transfer("pac", labels, **unpenalised)
        row = {name: pair.error(result.surrogate) for name, result in results.items()}
        for name, error in (row | baselines(pair, labels)).items():
            errors.setdefault((name, labels), []).append(error)

        allocated = results["PAC"].snapshots["allocated"](*pair.test.T)
        recalled = results["PAC"].surrogate.recall("source")(*pair.test.T)
        assert np.array_equal(allocated, recalled), "the source was not kept to the last bit"
        on_source = {
            "trained on the source": pair.network(*pair.test.T),
            "PAC: allocated": allocated,
            "PAC: recalled after the transfer": recalled,
            "warm start: after the transfer": results["warm start"].surrogate(*pair.test.T),
        }
        for name, predicted in on_source.items():
            source_errors.setdefault(name, []).append(rmse(predicted, pair.source_expected))
names = list(dict.fromkeys(name for name, _ in errors))

# %% [markdown]
# Mean RMSE on noise-free test data with 95 % intervals over seeds (Student's t). The noise of a
# label has standard deviation 1, so that an RMSE of 1 means as far from the truth as one label is.

# %%
from scipy.stats import t as student


def interval(values: list[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval."""
    factor = student.ppf(0.975, len(values) - 1) / np.sqrt(len(values))
    return float(np.mean(values)), float(np.std(values, ddof=1) * factor)


print(f"{'':20s}" + "".join(f"{labels:>9d} labels" for labels in LABELS))
for name in names:
    cells = [interval(errors[name, labels]) for labels in LABELS]
    print(f"{name:20s}" + "".join(f"{mean:10.2f} ±{half:4.2f}" for mean, half in cells))

# %%
figure, axis = plt.subplots(figsize=(9, 5.5), layout="constrained")
for position, name in enumerate(names):
    means, halves = zip(*[interval(errors[name, labels]) for labels in LABELS], strict=True)
    shifted = np.array(LABELS) * 1.015 ** (position - len(names) / 2)
    style = "-" if name in NAMES else "--"
    axis.errorbar(shifted, means, halves, marker="o", ls=style, capsize=3, label=name, ms=4)
axis.set(xscale="log", yscale="log", xlabel="labels of the target", ylabel="RMSE, noise-free test")
axis.set_xticks(LABELS, [str(labels) for labels in LABELS])
axis.set_title(f"Friedman #1, d = {DISTANCE:g}: mean and 95 % interval, {len(pairs)} paired seeds")
axis.grid(alpha=0.3, which="both")
axis.legend(ncols=2)
plt.show()

# %% [markdown]
# ## Who wins where
#
# Ratios of RMSE seed by seed, geometric mean and 95 % interval by a paired bootstrap of their
# logarithms. Below 1 the first is better; *no difference shown* where the interval holds 1. The
# intervals are not corrected for there being many of them.


# %%
def ratio(one: str, other: str, labels: int) -> tuple[float, float, float]:
    """RMSE of one over the other's: geometric mean, lower and upper end."""
    logs = np.log(errors[one, labels]) - np.log(errors[other, labels])
    resampled = np.random.default_rng(0).choice(logs, (10_000, len(logs))).mean(1)
    low, high = np.exp(np.percentile(resampled, [2.5, 97.5]))
    return float(np.exp(logs.mean())), float(low), float(high)


duels = [("PAC", name) for name in names if name != "PAC"] + [("PAC, λ = 0", "warm start")]
for one, other in duels:
    print(f"{one} against {other}")
    for labels in LABELS:
        mean, low, high = ratio(one, other, labels)
        winner = (
            f"{one} wins" if high < 1 else f"{other} wins" if low > 1 else "no difference shown"
        )
        print(f"  {labels:4d} labels: {mean:.2f} [{low:.2f}, {high:.2f}]  {winner}")
print()
for labels in LABELS:
    order = sorted(names, key=lambda name: np.mean(errors[name, labels]))
    among = [name for name in order if name in NAMES]
    print(
        f"{labels:4d} labels: lowest mean RMSE {order[0]}, then {order[1]}; "
        f"of the three networks {', '.join(among)}."
    )

# %% [markdown]
# ## What is left of the source
#
# PAC's other promise: the allocated source is still in the weights after the transfer. The study
# above compared it bit by bit for every seed and number of labels, and would have stopped.

# %%
for name, values in source_errors.items():
    print(f"RMSE on the source, {name:33s} {np.mean(values):.2f}")

# %% [markdown]
# ## How far this goes
#
# - One function, one distance $d$, one width; λ was chosen per number of labels on three other
#   pairs. Another task needs its own tuning.
# - The duels of *PAC, λ = 0* tell how much of a win is the pull to the source and how much is the
#   mask. A warm start with a pull to the source's weights (L2-SP) would separate the two fully and
#   is not in this comparison.
# - Read the Gaussian processes before concluding that a network should be moved at all. Ten smooth
#   inputs are what they are good at.
