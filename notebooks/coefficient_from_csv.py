# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Unknown coefficients from a CSV
#
# A file has noisy values of a population that spreads and grows, a front of the Fisher–KPP
# equation. How fast does it spread ($D$), how fast does it grow ($r$)?
#
# $$u_t = D\,u_{xx} + r\,u(1-u), \quad t\in[0,3],\ x\in[-10,10]$$

# %%
import csv
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from pacpde import Measurements, fit, identify, identify_by_scipy
from pacpde.datasets import reference_for
from pacpde.problems import FisherKPP

# %matplotlib inline
SHORT = os.environ.get("PACPDE_SHORT") == "1"  # tiny, for the tests; its numbers mean nothing
NETWORK = {"width": 8, "depth": 2} if SHORT else {"width": 20, "depth": 3}
SETTINGS = {"points": 100, "steps": 3} if SHORT else {"points": 600}
COUNT, NOISE = 40, 0.02
UNKNOWN = ["D", "r"]

# %% [markdown]
# ## The file
#
# This cell plays the laboratory: it takes a certified scipy solution at random places and adds
# noise. The file has semicolons and names of its own.

# %%
truth = FisherKPP(D=0.6, r=0.7)
reference = reference_for(truth)
rng = np.random.default_rng(0)
t, x = (rng.choice(axis, COUNT) for axis in reference.axes.values())
rows, columns = (
    np.searchsorted(axis, at) for axis, at in zip(reference.axes.values(), (t, x), strict=True)
)
u = reference.values[0, rows, columns] + NOISE * rng.standard_normal(COUNT)

folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "measured.csv"
with file.open("w", newline="") as stream:
    writer = csv.writer(stream, delimiter=";")
    writer.writerow(["time", "place", "density"])
    writer.writerows(zip(t.round(4), x.round(4), u.round(4), strict=True))
print("".join(file.read_text().splitlines(keepends=True)[:4]))

# %% [markdown]
# ## Read it
#
# `notes` say what was understood.

# %%
names = {"t": "time", "x": "place", "u": "density"}
data = Measurements.of(file, truth, columns=names, noise=NOISE)
for note in data.notes:
    print(note.replace(str(file), file.name))

# %% [markdown]
# ## Find the coefficients
#
# The source is a network that solves the equation for a guess. `identify` moves it through the
# coefficients by Gauss–Newton until it meets the values. scipy's solver with least squares is the
# rival.

# %%
guess = FisherKPP(D=1.0, r=1.0)
source = fit(guess, seed=0, settings={**NETWORK, **SETTINGS})
results = {"network": identify(source, data=data, unknown=UNKNOWN, settings=SETTINGS)}
if not SHORT:  # it solves the equation again for each pair of values
    results["scipy"] = identify_by_scipy(guess, data=data, unknown=UNKNOWN)
for name, found in results.items():
    shown = (
        f"{key} = {value:.3f} ± {error:.3f}" for key, (value, error) in found.estimates.items()
    )
    print(f"{name:8s} {', '.join(shown)}: {found.outcome}, doubts: {found.doubts() or 'none'}")

# %% [markdown]
# Dots are the measured values, in the colours of the map: a dot that can be seen is off. The
# intervals on the right are two standard errors to each side.

# %%
network = results["network"].surrogate
figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4), layout="constrained", width_ratios=[3, 2]
)
tt, xx = np.meshgrid(np.linspace(0, 3, 120), np.linspace(-10, 10, 160), indexing="ij")
image = left.pcolormesh(tt, xx, network(tt, xx), vmin=0, vmax=1, rasterized=True)
left.scatter(t, x, c=u, vmin=0, vmax=1, edgecolors="white", s=45, linewidths=1)
figure.colorbar(image, ax=left, label="u")
left.set(xlabel="t", ylabel="x", title="The network's solution and the measurements")
ticks = []
for row, key in enumerate(UNKNOWN):
    true = truth.coefficients[key]
    for shift, (name, found) in zip((-0.12, 0.12), results.items(), strict=False):
        value, error = found.estimates[key]
        right.errorbar(
            value / true, row + shift, xerr=2 * error / true, fmt="o", capsize=4,
            color="C0" if name == "network" else "C1", label=None if row else name,
        )  # fmt: skip
    ticks.append(f"${key}$")
right.axvline(1, color="k", ls="--", lw=1)
right.set(xlabel="estimate / true value", title="Estimates, ± 2 standard errors", ylim=(-0.6, 1.6))
right.set_yticks(range(len(ticks)), ticks)
right.legend()
right.grid(alpha=0.3, axis="x")
plt.show()

# %% [markdown]
# ## A file that does not fit
#
# The same values, as a sensor would give them that shows 15 % too little. The equation has no such
# solution, and the result says so.

# %%
dimmed = Measurements(data.points, 0.85 * data.values, noise=NOISE)
wrong = identify(source, data=dimmed, unknown=UNKNOWN, settings=SETTINGS)
for key, (value, error) in wrong.estimates.items():
    print(f"{key} = {value:.3f} ± {error:.3f}, true {truth.coefficients[key]}")
print(f"{wrong.outcome}:")
for doubt in wrong.doubts():
    print(f"- {doubt}")
folder.cleanup()

# %% [markdown]
# On the command line: `pacpde identify runs/source measured.csv --columns t=time,x=place,u=density
# --noise 0.02 --unknown D,r -o runs/found`.
#
# ## What this does not show
#
# - One file. Standard errors are right when many files are covered as often as they say: that is
#   measured in `docs/evidence/identification.md`.
# - scipy finds the same values. The network pays where its solution is used afterwards, or where
#   no solver is at hand.
# - The form of the equation is taken for known. Doubts find some wrong equations, not all.
