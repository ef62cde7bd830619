"""One natural-gradient fit of jinns on Burgers' equation; run in jinns's own environment.

Network, losses and start as in jinns's notebook "1D_non_stationary_Burgers"; more interior points,
as its 900 miss the front. Its validation hook grades every few iterations inside its compiled loop.
"""

import json
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jinns
import numpy as np
from jinns.optimizers import vanilla_ngd
from jinns.validation import AbstractValidationModule

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")


class Graded(AbstractValidationModule):
    """Relative L2 error on a grid."""

    u: eqx.Module
    points: jax.Array
    expected: jax.Array
    call_every: int = eqx.field(kw_only=True, default=10)

    def __call__(self, params):
        predicted = jax.vmap(lambda point: self.u(point, params))(self.points).ravel()
        error = jnp.linalg.norm(predicted - self.expected) / jnp.linalg.norm(self.expected)
        return self, False, error, False


def main() -> None:
    options = json.loads(sys.argv[1])
    grid = np.load(options["grid"])
    network_key, data_key = jax.random.split(jax.random.PRNGKey(options["seed"]), 2)
    width = options["width"]
    layers = [(eqx.nn.Linear, 2, width), (jax.nn.tanh,)]
    for _ in range(options["depth"] - 1):
        layers += [(eqx.nn.Linear, width, width), (jax.nn.tanh,)]
    layers += [(eqx.nn.Linear, width, 1)]
    u, weights = jinns.nn.PINN_MLP.create(
        key=network_key, eqx_list=tuple(layers), eq_type="PDENonStatio"
    )
    data = jinns.data.CubicMeshPDENonStatio(
        key=data_key, n=options["points"], nb=2000, ni=2000, dim=1, min_pts=(-1,), max_pts=(1,),
        tmin=0, tmax=1, method="uniform",
    )  # fmt: skip
    nu = jnp.array(1 / (100 * jnp.pi))
    params = jinns.parameters.Params(nn_params=weights, eq_params={"nu": nu})
    loss = jinns.loss.LossPDENonStatio(
        u=u,
        loss_weights=jinns.loss.LossWeightsPDENonStatio(
            dyn_loss=1, initial_condition=1, boundary_loss=1
        ),
        dynamic_loss=jinns.loss.BurgersEquation(Tmax=1),
        boundary_condition=jinns.loss.Dirichlet(),
        initial_condition_fun=lambda x: -jnp.sin(jnp.pi * x),
        params=params,
    )
    graded = Graded(
        u=u, points=jnp.stack([grid["t"], grid["x"]], 1), expected=jnp.asarray(grid["u"])
    )

    def solved(steps: int) -> tuple[float, list[float]]:
        """Seconds of `jinns.solve`, compilation and all, and the error it saw at every step."""
        clock = time.perf_counter()
        solution = jinns.solve(
            init_params=params, data=data, optimizer=vanilla_ngd(), loss=loss, n_iter=steps,
            print_loss_every=10**9, validation=graded, verbose=False,
        )  # fmt: skip
        errors = next(part for part in solution[::-1] if getattr(part, "shape", None) == (steps,))
        return time.perf_counter() - clock, [float(error) for error in errors]

    few, more = 5, 25
    short, _ = solved(few)
    longer, _ = solved(more)
    a_step = max((longer - short) / (more - few), 1e-4)  # compilation takes as long in both
    steps = max(more, int(options["seconds"] / a_step))
    whole, errors = solved(steps)
    compiled = short - few * a_step
    training = whole - compiled
    print(json.dumps({
        "curve": [((i + 1) * training / steps, errors[i]) for i in range(0, steps, 10)],
        "compile_seconds": compiled,
        "seconds": training,
        "steps": steps,
        "parameters": sum(p.size for p in jax.tree.leaves(eqx.filter(weights, eqx.is_array))),
        "versions": {"jinns": options["version"], "jax": jax.__version__},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
