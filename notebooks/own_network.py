# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Bring your own network
#
# Any `torch.nn.Module` can be the network of a fit and of a transfer. Here it is one with residual
# blocks, $h \leftarrow h + W_2\tanh(W_1h)$, on Burgers' equation, beside pacpde's dense network of
# about as many weights.

# %%
import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from pacpde import MLP, PAC, TorchModule, fit, load, save, transfer
from pacpde.problems import Burgers

# %matplotlib inline
SHORT = os.environ.get("PACPDE_SHORT") == "1"  # tiny, for the tests; its numbers mean nothing
SETTINGS = {"points": 100, "steps": 3} if SHORT else {"points": 600}

# %% [markdown]
# ## The module
#
# It takes [points, inputs] and gives [points, outputs], each point by itself. pacpde finds the
# derivatives that the equation asks for, and the Jacobian in the parameters, from the calls in
# `forward`.


# %%
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, h):
        return h + self.second(torch.tanh(self.first(h)))


class ResidualNetwork(nn.Module):
    def __init__(self, inputs=2, width=16, blocks=2, outputs=1):
        super().__init__()
        self.lift, self.head = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))

    def forward(self, x):
        h = self.lift(x)
        for block in self.blocks:
            h = block(h)
        return self.head(h)


networks = {"residual": TorchModule(ResidualNetwork()), "dense": MLP(2, 1, width=19, depth=4)}
for name, network in networks.items():
    print(f"{name}: {network.size} weights")

# %% [markdown]
# ## Fit and transfer
#
# The calls are those of any other network. PAC masks whole neurons of its own networks. Of a module
# it does not know the neurons, and keeps rows of the weight matrices (`scope="filter"`).

# %%
source_problem, target_problem = Burgers(nu=0.03), Burgers(nu=0.02)
methods = {"residual": PAC(scope="filter", reinit_scale=0.0), "dense": PAC()}
results = {}
for name, network in networks.items():
    source = fit(source_problem, network=network, seed=0, settings=SETTINGS)
    results[name] = transfer(
        source, target_problem, method=methods[name], seed=0, settings=SETTINGS
    )
for name, result in results.items():
    print(
        f"{name}: source {result.source.outcome}, target {result.outcome}, "
        f"{result.n_trainable} of {result.surrogate.parameters} weights trained on the target"
    )
    print(
        f"  relative errors: target {result.target_error:.1e} (untouched "
        f"{result.zero_shot_error:.1e}), source {result.source_error['trained']:.1e}, "
        f"recalled {result.source_error['recalled']:.1e}"
    )

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for (name, result), colour in zip(results.items(), ("C0", "C1"), strict=True):
    history = [entry for entry in result.source.history if entry.get("held_out")]
    left.semilogy([entry["held_out"] for entry in history], color=colour, label=name)
left.set(xlabel="step", ylabel="held-out residual", title="The fit of the source, ν = 0.03")
left.legend()
result = results["residual"]
x = np.linspace(-1, 1, 401)
for solver, name, colour in (
    (result.recall(), "recalled", "C0"),
    (result.surrogate, "target", "C1"),
):
    problem = solver.problem
    right.plot(x, solver(0.6, x), color=colour, lw=3, alpha=0.6, label=f"ν = {problem.nu}, {name}")
    right.plot(x, problem.exact(np.full_like(x, 0.6), x)[0], "k--", lw=1)
right.plot([], [], "k--", lw=1, label="exact")
right.set(xlabel="x", ylabel="u", title="Two solvers of the residual network, t = 0.6")
right.legend(loc="lower left")
for axis in (left, right):
    axis.grid(alpha=0.3)
plt.show()

# %% [markdown]
# ## Recall and store
#
# The source comes back to the last bit. A file holds the weights and not your code, so that
# `load` is given the module.

# %%
kept, recalled = result.snapshots["allocated"](0.5, x), result.recall()(0.5, x)
assert np.array_equal(kept, recalled)
with tempfile.TemporaryDirectory() as folder:
    save(result.surrogate, f"{folder}/target")
    again = load(f"{folder}/target", network=TorchModule(ResidualNetwork()))
assert np.array_equal(again(0.5, x), result.surrogate(0.5, x))
assert np.array_equal(again.recall()(0.5, x), recalled)
print("recalled and loaded values are the same, bit for bit")

# %% [markdown]
# ## What this does not show
#
# - That residual blocks are better. One seed, one equation, nothing tuned.
# - Your own optimiser, loss and batches: `docs/modules.md` has PAC and the other transfers for a
#   module in your own training loop.
# - What cannot be a network: modules whose points depend on each other, as batch normalisation in
#   training, or that draw random numbers. They are refused with a sentence.
