# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Bring your own equation
#
# pacpde does not have Nagumo's equation, a model of a nerve signal with a threshold $a$:
#
# $$u_t = u_{xx} + u(1-u)(u-a), \quad t\in[0,15],\ x\in[-10,10]$$
#
# It has a travelling front that is known exactly: $u = 1/(1+e^{(x - ct)/\sqrt2})$ with the speed
# $c = (1-2a)/\sqrt2$.
#
# ## One class
#
# It says where the equation holds, its coefficient, right-hand side, start and conditions. `exact`
# is optional.

# %%
import os
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

from pacpde import fit, transfer
from pacpde.methods.check_family import FamilyCheck
from pacpde.physics import Axis, Dirichlet, Evolution, coefficient
from pacpde.physics.elementary import exp

# %matplotlib inline
SHORT = os.environ.get("PACPDE_SHORT") == "1"  # tiny, for the tests; its numbers mean nothing
SETTINGS = {"points": 100, "steps": 3} if SHORT else {"points": 800}


@dataclass(frozen=True)
class Nagumo(Evolution):
    """u_t = u_xx + u(1 − u)(u − a) on t∈[0,15], x∈[−10,10]: a front with a threshold."""

    name = "nagumo"
    axes = (Axis("t", 0.0, 15.0), Axis("x", -10.0, 10.0))

    a: float = coefficient(0.3, lower=0.0, upper=0.5, meaning="threshold a")

    def rhs(self, u, d):
        return d(u, "xx") + u * (1 - u) * (u - self.a)

    def initial(self, x):
        return self.front(0.0, x)

    def conditions(self):
        return [
            Dirichlet("x-", lambda t: self.front(t, -10.0)),
            Dirichlet("x+", lambda t: self.front(t, 10.0)),
        ]

    def front(self, t, x):
        return 1 / (1 + exp((x - self.speed * t) / 2**0.5))

    @property
    def speed(self):
        return (1 - 2 * self.a) / 2**0.5

    def exact(self, t, x):
        return self.front(t, x)[None]


# %% [markdown]
# ## Check it
#
# The check reads the class and says what it found; `pacpde check nagumo.py` does the same for a
# file. Here it looks at the equation alone, without fits.

# %%
for finding in FamilyCheck(Nagumo(), fits=False).findings():
    print(f"- {finding.sentence}")

# %% [markdown]
# ## Solve it and move it
#
# All of pacpde works on it now: references, fits, every way to transfer, measurements, libraries.

# %%
source = fit(Nagumo(a=0.3), width=20, seed=0, settings=SETTINGS)
result = transfer(source, Nagumo(a=0.1), method="pac", seed=0, settings=SETTINGS)
new, old = result.surrogate, result.recall()
print(
    f"source: {source.outcome}, relative error {result.source_error['recalled']:.1e} when recalled"
)
print(f"target: {result.outcome}, relative error {result.target_error:.1e}")
print(f"        {result.zero_shot_error:.2f} by the untouched source")

# %% [markdown]
# The place of the front is where $u = 1/2$. Its slope is the speed.

# %%
t, x = np.linspace(0, 15, 121), np.linspace(-10, 10, 401)
tt, xx = np.meshgrid(t, x, indexing="ij")
figure, axes = plt.subplots(1, 3, figsize=(10, 3.8), layout="constrained")
for axis, solver, name, colour in zip(
    axes, (old, new), ("source, recalled", "target"), ("C0", "C1"), strict=False
):
    problem, values = solver.problem, solver(tt, xx)
    image = axis.pcolormesh(t, x, values.T, vmin=0, vmax=1, rasterized=True)
    axis.set(xlabel="t", ylabel="x", title=f"a = {problem.a:g}: {name}")
    place = np.array([np.interp(0.5, row[::-1], x[::-1]) for row in values])
    speed = np.polyfit(t, place, 1)[0]
    axes[2].plot(t, place, color=colour, lw=3, alpha=0.6, label=f"a = {problem.a:g}, network")
    axes[2].plot(t, problem.speed * t, "k--", lw=1)
    print(f"a = {problem.a:g}: speed of the network's front {speed:.5f}, exact {problem.speed:.5f}")
axes[2].plot([], [], "k--", lw=1, label="exact")
figure.colorbar(image, ax=axes[1], label="u")
axes[2].set(xlabel="t", ylabel="x", title="Place of the front")
axes[2].legend()
axes[2].grid(alpha=0.3)
plt.show()

# %% [markdown]
# ## What this does not show
#
# - A smooth front with a known solution is an easy case. `docs/equations.md` says what to do where
#   a fit does not converge.
# - Boxes only, derivatives to fourth order, real fields. Waves, steady problems, systems with
#   constraints and all conditions are in `docs/equations.md`.
# - The check with fits takes longer and finds more: `FamilyCheck(Nagumo())` or `pacpde check`.
