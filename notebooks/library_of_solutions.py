# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A library: any viscosity of a range, with an estimated error
#
# A library has a few solved coefficients, its sources. Their frozen neurons nearly span the
# solutions between them, so that a new coefficient needs only a new last layer. It comes with an
# estimate of its error. The equation is that of Burgers, $u_t = -u\,u_x + \nu\,u_{xx}$.

# %%
import os
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from pacpde import Library, transfer
from pacpde.datasets import reference_for
from pacpde.plots.style import logarithmic
from pacpde.problems import Burgers
from pacpde.report import library_page

# %matplotlib inline
SHORT = os.environ.get("PACPDE_SHORT") == "1"  # tiny, for the tests; its numbers mean nothing
SETTINGS = {"points": 200, "steps": 20} if SHORT else {"points": 800}
RANGE = (0.08, 0.1) if SHORT else (0.02, 0.1)
TOLERANCE = 1e-1 if SHORT else 1e-4
TARGETS = 5 if SHORT else 60

# %% [markdown]
# ## Build it
#
# The next source stands where the library is worst, until the estimate of every candidate is below
# the tolerance.

# %%
library = Library.build(
    Burgers, {"nu": RANGE}, tolerance=TOLERANCE, seed=0,
    settings={"width": 8 if SHORT else 16, "depth": 2 if SHORT else 3, **SETTINGS},
)  # fmt: skip
places = sorted(source.problem.nu for source in library.sources)
print(f"{len(places)} sources at ν = {', '.join(f'{nu:.3g}' for nu in places)}")

# %% [markdown]
# ## Sweep it
#
# Many viscosities at once. The true errors are against the exact solutions by Cole and Hopf, which
# the library does not know.

# %%
viscosities = np.geomspace(*RANGE, TARGETS)
many = library.solve_many(viscosities)
grid = np.meshgrid(np.linspace(0, 1, 41), np.linspace(-1, 1, 121), indexing="ij")
true = []
for nu, values in zip(viscosities, many(*grid), strict=True):
    exact = Burgers(nu=nu).exact(*grid)[0]
    true.append(np.linalg.norm(values - exact) / np.linalg.norm(exact))
true = np.array(true)
estimated = np.asarray(many.error_estimates)
print(f"largest true error {true.max():.1e}, largest estimate {estimated.max():.1e}")
print(f"true error / estimate: {np.min(true / estimated):.2f} to {np.max(true / estimated):.2f}")
converged = sum(outcome == "converged" for outcome in many.outcomes)
print(f"{converged} of {len(viscosities)} below the tolerance by their estimate")

# %%
x = np.linspace(-1, 1, 401)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for nu in np.geomspace(*RANGE, 5):
    (line,) = left.plot(x, library.solve(Burgers(nu=nu))(0.6, x), label=f"ν = {nu:.3f}")
left.set(xlabel="x", ylabel="u", title="Five positions of the slider, t = 0.6")
left.legend(loc="lower left")
left.grid(alpha=0.3)
right.plot(viscosities, estimated, "C1", lw=2, label="estimated")
right.plot(viscosities, true, "k.", ms=5, label="true")
right.axhline(TOLERANCE, color="gray", ls=":", label="tolerance")
logarithmic(right.xaxis)
logarithmic(right.yaxis)
for place in places:
    right.axvline(
        place, color="C0", lw=1, alpha=0.6, label="source" if place == places[0] else None
    )
right.set(xlabel="ν", ylabel="relative L2 error", title="Errors along the range")
right.legend(loc="lower right", fontsize=9)
right.grid(alpha=0.3)
plt.show()

# %% [markdown]
# ## The slider
#
# A page with a slider evaluates the library in the browser, without a server. It is too large to be
# stored here; in your copy keep the file and open it.

# %%
with tempfile.TemporaryDirectory() as folder:
    page = library_page.write(library, Path(folder) / "burgers.html")
print(f"a page of {page['bytes'] / 1e6:.1f} MB, which differs from the library by at most "
      f"{page['largest_difference']:.0e}")  # fmt: skip

# %% [markdown]
# ## Beside a warm start
#
# The same target from the nearest source by a warm start: slower, and more exact.

# %%
target = Burgers(nu=float(np.sqrt(RANGE[0] * RANGE[1]) * 1.13))
reference = reference_for(target)
began = time.perf_counter()
head = library.solve(target)
seconds = time.perf_counter() - began
moved = transfer(
    library.nearest(target), target, method="warm_start", reference=reference, settings=SETTINGS
)
exact = target.exact(*grid)[0]
error = np.linalg.norm(head(*grid) - exact) / np.linalg.norm(exact)
ratio = moved.record()["seconds"]["calibrate"] / seconds
print(f"library: error {error:.1e}, estimated {head.error_estimate:.1e}")
print(f"warm start: error {moved.target_error:.1e}, in {ratio:.0f} times the time of the library")

# %% [markdown]
# ## What this does not show
#
# - The cost of building. It pays after some targets; how many is in `docs/evidence/library.md`.
# - Wider ranges need more sources, and smaller viscosities more than larger ones.
# - Estimates are to first order. They are good where the residual is small, as here, and say little
#   where sources stand too far apart.
# - Several coefficients at once; `docs/library.md` shows how.
