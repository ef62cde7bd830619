# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Quick start
#
# A network solves Burgers' equation for one viscosity. PAC moves it to another viscosity. Then one
# set of weights holds both solutions.
#
# $$u_t = -u\,u_x + \nu\,u_{xx}, \quad t\in[0,1],\ x\in[-1,1], \quad u(0,x) = -\sin\pi x, \quad
#   u(t,\pm1) = 0$$

# %%
import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import pacpde
from pacpde import PAC, fit, transfer
from pacpde.problems import Burgers

# %matplotlib inline
SHORT = os.environ.get("PACPDE_SHORT") == "1"  # tiny, for the tests; its numbers mean nothing
SETTINGS = {"points": 100, "steps": 3} if SHORT else {"points": 1000}

# %% [markdown]
# ## Fit a source
#
# No data: the loss is the equation at random points. Start and walls hold exactly, for all weights.
# `outcome` and the estimated error need no reference solution.

# %%
source = fit(Burgers(nu=0.03), width=20, seed=0, settings=SETTINGS)
print(f"{source.parameters} weights, {source.outcome}")
if source.error_estimate is not None:
    print(f"estimated relative error {source.error_estimate:.0e}")

# %% [markdown]
# ## Move it to another viscosity
#
# PAC frees part of the weights and trains only these on the target. `recall` gives the source back.

# %%
result = transfer(source, Burgers(nu=0.01), method=PAC(), seed=0, settings=SETTINGS)
new, old = result.surrogate, result.recall()
print(f"{result.n_trainable} of {new.parameters} weights were trained on the target")
print(f"source network on the target: relative error {result.zero_shot_error:.1e}")
print(f"after the transfer:           relative error {result.target_error:.1e}, {result.outcome}")

# %% [markdown]
# ## Look at both
#
# A surrogate is a function of arrays or tensors, and so are its derivatives. The dashed lines are
# the exact solutions by Cole and Hopf.

# %%
x, t = np.linspace(-1, 1, 401), np.linspace(0, 1, 201)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for surrogate, name, colour in ((old, "recalled", "C0"), (new, "target", "C1")):
    problem = surrogate.problem
    left.plot(
        x, surrogate(0.5, x), color=colour, lw=3, alpha=0.6, label=f"ν = {problem.nu}, {name}"
    )
    left.plot(x, problem.exact(np.full_like(x, 0.5), x)[0], "k--", lw=1)
    right.plot(t, -surrogate.derivative("x")(t, 0.0), color=colour, lw=3, alpha=0.6)
    nodes = np.array([-1e-5, 1e-5])
    ends = problem.exact(t[:, None], nodes[None])[0]
    right.plot(t, -(ends[:, 1] - ends[:, 0]) / 2e-5, "k--", lw=1)
left.plot([], [], "k--", lw=1, label="exact")
left.set(xlabel="x", ylabel="u", title="The solutions at t = 0.5")
right.set(xlabel="t", ylabel=r"$-u_x$ at x = 0", title="Slope of the front")
left.legend(loc="lower left")
for axis in (left, right):
    axis.grid(alpha=0.3)
plt.show()

# %% [markdown]
# ## Keep it
#
# A folder holds both solvers. What comes back is the same to the last bit.

# %%
with tempfile.TemporaryDirectory() as folder:
    pacpde.save(new, f"{folder}/burgers")
    loaded = pacpde.load(f"{folder}/burgers")
for kept, again in ((new, loaded), (old, loaded.recall())):
    assert np.array_equal(kept(0.5, x), again(0.5, x))
allocated = result.snapshots["allocated"]
assert np.array_equal(old(0.5, x), allocated(0.5, x))
print("target and source come back from the folder bit for bit")

# %% [markdown]
# ## What this does not show
#
# - One seed and one target say nothing about others. [Transfer across
#   viscosity](transfer_across_viscosity.ipynb) has rivals; `docs/evidence` has many seeds.
# - The errors are small because these fronts are mild. A smaller viscosity needs more points.
# - If you need one solution on a grid, scipy is quicker: `pacpde solve burgers nu=0.01`.
