# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # PAC in a DeepXDE script
#
# A plain DeepXDE script solves a diffusion–reaction equation for one diffusivity $D$. A few lines
# of pacpde move its network to another one by DeepXDE's own optimisers, and keep the first solver.
#
# $$u_t = D\,u_{xx} + e^{-t}\left(\tfrac{3}{2}\sin 2x\right) - u, \quad t\in[0,1],\ x\in[-\pi,\pi],
#   \quad u(0,x) = \sin x, \quad u(t,\pm\pi) = 0$$

# %%
import contextlib
import io
import os

os.environ["DDE_BACKEND"] = "pytorch"
with contextlib.redirect_stderr(io.StringIO()):  # DeepXDE writes the name of its backend there
    import deepxde as dde
import matplotlib.pyplot as plt
import numpy as np
import torch

# %matplotlib inline
SHORT = os.environ.get("PACPDE_SHORT") == "1"  # tiny, for the tests; its numbers mean nothing
ADAM, LBFGS = (5, 5) if SHORT else (1000, 1500)

# %% [markdown]
# ## The script
#
# Nothing in this cell is pacpde's. The coefficient is an argument of `data`, the recipe of a
# training is the function `train`.

# %%
dde.config.set_default_float("float64")
dde.config.set_random_seed(0)


def data(diffusivity):
    def pde(x, u):
        u_t = dde.grad.jacobian(u, x, j=1)
        u_xx = dde.grad.hessian(u, x, i=0, j=0)
        source = 1.5 * torch.exp(-x[:, 1:]) * torch.sin(2 * x[:, :1])
        return u_t - diffusivity * u_xx - source + u

    domain = dde.geometry.GeometryXTime(
        dde.geometry.Interval(-np.pi, np.pi), dde.geometry.TimeDomain(0, 1)
    )
    walls = dde.icbc.DirichletBC(domain, lambda x: 0, lambda _, on_boundary: on_boundary)
    start = dde.icbc.IC(domain, lambda x: np.sin(x[:, :1]), lambda _, on_initial: on_initial)
    return dde.data.TimePDE(
        domain, pde, [walls, start], num_domain=400, num_boundary=40, num_initial=80
    )


def train(model):
    model.compile("adam", lr=2e-3, verbose=0)
    model.train(iterations=ADAM, display_every=100, verbose=0)
    dde.optimizers.set_LBFGS_options(maxiter=LBFGS)
    model.compile("L-BFGS", verbose=0)
    model.train(display_every=100, verbose=0)
    return model


net = dde.nn.FNN([2] + [20] * 3 + [1], "tanh", "Glorot normal")
model = train(dde.Model(data(1.0), net))

# %% [markdown]
# ## PAC
#
# `allocate`, `calibrate` and `recall` give a DeepXDE model each, to be trained as usual. A warm
# start stands beside it: it trains all weights and forgets the source.

# %%
from pacpde.interop.deepxde import PAC, warm_start

pac = PAC(model)
pac.prune(sparsity=0.5)  # half of the weights are taken from the source
allocated = train(pac.allocate())  # the other half, on the source
target = train(pac.calibrate(data(0.2)))  # the freed half, on the target
recalled = pac.recall()  # the source, out of the target's weights
warm = train(warm_start(model, data(0.2)))

# %% [markdown]
# The exact solutions come from separation: a mode $\sin kx$ obeys an ODE in $t$.

# %%
points = np.stack(np.meshgrid(np.linspace(-np.pi, np.pi, 101), np.linspace(0, 1, 51)), -1)
points = points.reshape(-1, 2)


def exact(diffusivity):
    """sin x decays by D + 1; sin 2x begins at 0 and is driven by 1.5 exp(−t)."""
    x, t = points.T
    first = np.exp(-(diffusivity + 1) * t) * np.sin(x)
    second = 1.5 * (np.exp(-t) - np.exp(-(4 * diffusivity + 1) * t)) / (4 * diffusivity)
    return first + second * np.sin(2 * x)


def error(solver, diffusivity):
    wanted = exact(diffusivity)
    return float(np.linalg.norm(solver.predict(points)[:, 0] - wanted) / np.linalg.norm(wanted))


assert np.array_equal(recalled.predict(points), allocated.predict(points))
print("the recalled source gives the values of the allocated one, bit for bit")
print(f"{'':22s}{'D = 1':>9s}{'D = 0.2':>9s}")
solvers = {
    "source": model, "allocated": allocated, "PAC, calibrated": target, "PAC, recalled": recalled,
    "warm start": warm,
}  # fmt: skip
for name, solver in solvers.items():
    print(f"{name:22s}{error(solver, 1.0):9.1e}{error(solver, 0.2):9.1e}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
last = points[:, 1] == 1
for solver, value, name, colour in (
    (recalled, 1.0, "D = 1, recalled", "C0"), (target, 0.2, "D = 0.2, target", "C1")
):  # fmt: skip
    x = points[last, 0]
    left.plot(x, solver.predict(points[last])[:, 0], color=colour, lw=3, alpha=0.6, label=name)
    left.plot(x, exact(value)[last], "k--", lw=1)
left.plot([], [], "k--", lw=1, label="exact")
left.set(xlabel="x", ylabel="u", title="Two solvers of one network, t = 1")
left.legend()
for name, solver, colour in (
    ("source", model, "k"), ("PAC: allocate", allocated, "C0"), ("PAC: calibrate", target, "C1"),
    ("warm start", warm, "C2"),
):  # fmt: skip
    history = solver.losshistory
    losses = [np.sum(loss) for loss in history.loss_train]
    right.semilogy(history.steps, losses, color=colour, label=name)
right.set(xlabel="iterations of its training", ylabel="loss", title="Adam, then L-BFGS")
right.legend()
for axis in (left, right):
    axis.grid(alpha=0.3)
plt.show()

# %% [markdown]
# ## What this does not show
#
# - Speed. `allocate` is one more training by the whole recipe, so that PAC costs more than a warm
#   start. It is for where one set of weights must hold both solvers.
# - A long training. This one is short, to be repeated in a minute; `docs/evidence/transfers.md` has
#   DeepXDE's own examples with their own recipes.
# - The fast path: the same network in pacpde's second-order engine, and back (`docs/deepxde.md`).
