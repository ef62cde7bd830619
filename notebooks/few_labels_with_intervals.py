# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Few labels, no equation, with intervals
#
# A network solves Burgers' equation for one viscosity. Of another viscosity there are 10 to 100
# measured values with 1 % noise, and nothing else: the equation of the target is not used. How far
# may so few values move the network?
#
# pacpde answers by the values themselves. A penalty pulls the weights to where they start, the
# values choose its strength, and their leave-one-out error must be smaller than that of the source.
# Otherwise the source is returned.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from pacpde import Measurements, fit, transfer
from pacpde.plots.style import logarithmic
from pacpde.problems import Burgers

# %matplotlib inline
SHORT = os.environ.get("PACPDE_SHORT") == "1"  # tiny, for the tests; its numbers mean nothing
SETTINGS = {"points": 100, "steps": 3} if SHORT else {"points": 600}
LABELS = (10,) if SHORT else (10, 25, 50, 100)
DRAWS = range(1) if SHORT else range(5)
NOISE = 0.01
METHODS = {"PAC": "pac", "warm start": "warm_start"}

source = fit(Burgers(nu=0.03), width=8 if SHORT else 16, depth=2, seed=0, settings=SETTINGS)
target = Burgers(nu=0.02)
print(f"{source.parameters} weights, {source.outcome}")

# %% [markdown]
# ## The study
#
# A draw is a set of random points, of which each number of labels takes the first. Beside the two
# transfers stands the source untouched.

# %%
grid = np.meshgrid(np.linspace(0, 1, 41), np.linspace(-1, 1, 161), indexing="ij")
exact = target.exact(*grid)[0]


def error(solver):
    return float(np.linalg.norm(solver(*grid) - exact) / np.linalg.norm(exact))


def measured(count, seed):
    """The first so many points of a draw, [count, 2], with noisy values."""
    rng = np.random.default_rng(seed)
    points = rng.uniform((0, -1), (1, 1), (max(LABELS), 2))
    values = target.exact(*points.T)[0] + NOISE * rng.standard_normal(len(points))
    return points[:count], values[:count]


results = {}
for count in LABELS:
    for draw in DRAWS:
        points, values = measured(count, draw)
        for name, method in METHODS.items():
            results[name, count, draw] = transfer(
                source, target, method=method, data=Measurements(points, values, noise=NOISE),
                physics=False, reference=None, seed=draw,
            )  # fmt: skip
untouched = error(source)
print(f"the source untouched: relative error {untouched:.1e}")
for name in METHODS:
    for count in LABELS:
        runs = [results[name, count, draw] for draw in DRAWS]
        ratios = [error(run.surrogate) / untouched for run in runs]
        returned = sum(run.cross_validation.source_returned for run in runs)
        print(
            f"{name:10s} {count:3d} labels: error / untouched "
            f"{np.exp(np.mean(np.log(ratios))):.2f} (worst {max(ratios):.2f}), "
            f"source returned {returned} of {len(runs)}"
        )

# %% [markdown]
# ## Intervals
#
# `predictive` gives intervals for new measurements, from the posterior of the trained weights
# (Laplace's approximation). 2,000 new measurements tell how many they cover: on average over the
# domain, not at every place.

# %%
rng = np.random.default_rng(10_000)
new_points = rng.uniform((0, -1), (1, 1), (2000, 2))
new_values = target.exact(*new_points.T)[0] + NOISE * rng.standard_normal(len(new_points))
covered = {}
for (name, count, _), run in results.items():
    if run.cross_validation.source_returned:
        continue
    band = run.predictive(*new_points.T, level=0.9)
    inside = (np.ravel(band.lower) <= new_values) & (new_values <= np.ravel(band.upper))
    covered.setdefault((name, count), []).append(float(inside.mean()))
for (name, count), shares in sorted(covered.items()):
    print(f"{name:10s} {count:3d} labels: {100 * np.mean(shares):.0f} % in the 90 % intervals")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for position, name in enumerate(METHODS):
    errors = np.array(
        [[error(results[name, count, draw].surrogate) for draw in DRAWS] for count in LABELS]
    )
    left.plot(LABELS, np.median(errors, 1), f"C{position}-o", label=f"{name}, median")
    for row, count in zip(errors, LABELS, strict=True):
        left.plot([count * (0.97 + 0.06 * position)] * len(row), row, f"C{position}.", alpha=0.5)
left.axhline(untouched, color="gray", ls="--", label="source untouched")
left.set(xscale="log", xlabel="labels", ylabel="relative L2 error")
logarithmic(left.yaxis)
left.set_xticks(LABELS, [str(count) for count in LABELS])
left.minorticks_off()
left.set_title(f"Errors of {len(DRAWS)} draws of labels")
left.legend()
x = np.linspace(-1, 1, 401)
wanted = target.exact(np.full_like(x, 0.6), x)[0]
run = results["PAC", LABELS[len(LABELS) // 2], 0]
band = run.predictive(0.6, x, level=0.9)
right.fill_between(
    x, np.ravel(band.lower) - wanted, np.ravel(band.upper) - wanted, color="C0", alpha=0.3,
    label="90 % interval of a measurement",
)  # fmt: skip
right.plot(x, run.surrogate(0.6, x) - wanted, "C0", lw=2, label=f"PAC, {run.labels} labels")
right.plot(x, source(0.6, x) - wanted, color="gray", ls="--", label="source untouched")
right.axhline(0, color="k", lw=1)
right.set(xlabel="x", ylabel="u − exact u", title="Deviation from the exact solution at t = 0.6")
right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, fontsize=9)
for axis in (left, right):
    axis.grid(alpha=0.3)
plt.show()

# %% [markdown]
# ## What this does not show
#
# - If you know the equation, use it: `physics=True`, the default, needs no labels at all.
# - A promise for every place. In the front, where few points fall, the deviation may be outside of
#   the interval; 90 % are counted over the whole domain.
# - One target, and noise that is independent and of known size. Intervals are to first order in the
#   weights; `docs/evidence/few_labels.md` has their coverage on other problems.
# - That labels always help. Where they do not, you get the source, and the result says so.
