"""One fit of jinns, by natural gradient or SSBroyden; run in jinns's own environment by `peers.py`.

Burgers' losses, weights and start are those of jinns's notebook "1D_non_stationary_Burgers". The
other problems have no notebook: start and edges are met by `output_transform`, so that the
equation is the only loss. All points are in every batch.
"""

import json
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jinns
import numpy as np
import optax
from jinns.optimizers import scale_by_SSBroyden_family, vanilla_ngd
from jinns.validation import AbstractValidationModule

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")
PI, MANY = jnp.pi, 10**6


class Weights:
    """The weights on the way and the CPU seconds until then; compilation is not in them."""

    def __init__(self, limit: float) -> None:
        self.limit, self.spent = limit, 0.0
        self.seen: list[tuple[float, list[np.ndarray]]] = []

    def begin(self, every: int, limit: float) -> None:
        """Another call of `jinns.solve`, which tells of its weights every so many steps."""
        self.every, self.until = every, min(self.spent + limit, self.limit)
        self.begun, self.calls = None, 0

    def tell(self, *leaves: np.ndarray) -> np.ndarray:
        """Note the weights; returns whether the time is up."""
        now = time.process_time()
        if self.begun is None:  # its first step is over, and the clock has not run for it
            self.begun, self.before = now, self.spent
        else:
            self.calls += 1
            a_step = (now - self.begun) / (self.calls * self.every)
            self.spent = self.before + now - self.begun + a_step
            self.seen.append((self.spent, [np.array(leaf) for leaf in leaves]))
        return np.asarray(self.spent >= self.until)


class Told(AbstractValidationModule):
    """Tells of the weights, from inside jinns's compiled loop."""

    tell: object = eqx.field(static=True)
    call_every: int = eqx.field(kw_only=True, static=True)

    def __call__(self, params):
        leaves = jax.tree.leaves(params.nn_params)
        is_over = jax.experimental.io_callback(
            self.tell, jax.ShapeDtypeStruct((), bool), *leaves, ordered=True
        )
        return self, is_over, jnp.zeros(()), False


# name → constraint(x, N): what meets start and edges; None where the loss does
HARD = {
    "burgers": None,
    "wave": lambda x, n: jnp.sin(PI * x[1]) + x[0] ** 2 * x[1] * (1 - x[1]) * n,
    "helmholtz": lambda x, n: (1 - x[0] ** 2) * (1 - x[1] ** 2) * n,
    "allen_cahn": lambda x, n: x[1] ** 2 * jnp.cos(PI * x[1]) + x[0] * (1 - x[1] ** 2) * n,
}


def residual(name, u, slope, curvature, x):
    """Of an equation, from u and its first and second derivatives along both axes."""
    if name == "wave":
        return curvature[0] - curvature[1]
    if name == "helmholtz":
        waves = jnp.sin(PI * x[0]) * jnp.sin(4 * PI * x[1])
        return curvature[0] + curvature[1] + u - (1 - 17 * PI**2) * waves
    return slope[0] - 1e-4 * curvature[1] - 5 * (u - u**3)


def along(value, x, axis):
    """First and second derivative along an axis, forwards."""
    direction = jnp.zeros_like(x).at[axis].set(1.0)

    def slope(own):
        return jax.jvp(value, (own,), (direction,))[1]

    return jax.jvp(slope, (x,), (direction,))


def equation_of(name):
    """The equation as jinns takes it."""
    if name == "burgers":
        return jinns.loss.BurgersEquation(Tmax=1)
    base = jinns.loss.PDEStatio if name == "helmholtz" else jinns.loss.PDENonStatio

    class Equation(base):
        def equation(self, x, u, params):
            def value(own):
                return u(own, params).squeeze()

            slope, curvature = zip(*(along(value, x, axis) for axis in (0, 1)), strict=True)
            return residual(name, value(x), slope, curvature, x)[None]

    return Equation()


def built(options):
    """(network, parameters, data, loss) of a problem."""
    name, width = options["problem"], options["width"]
    network_key, data_key = jax.random.split(jax.random.PRNGKey(options["seed"]), 2)
    layers = [(eqx.nn.Linear, 2, width), (jax.nn.tanh,)]
    for _ in range(options["depth"] - 1):
        layers += [(eqx.nn.Linear, width, width), (jax.nn.tanh,)]
    layers += [(eqx.nn.Linear, width, 1)]
    steady, hard = name == "helmholtz", HARD[name]
    u, weights = jinns.nn.PINN_MLP.create(
        key=network_key, eqx_list=tuple(layers),
        eq_type="PDEStatio" if steady else "PDENonStatio",
        output_transform=hard and (lambda x, n, params: hard(x, n)),
    )  # fmt: skip
    params = jinns.parameters.Params(
        nn_params=weights, eq_params={"nu": jnp.array(1 / (100 * jnp.pi))}
    )
    points, edges = {"key": data_key, "n": options["points"], "method": "uniform"}, 2000
    if steady:
        # the ridge of the natural gradient wants losses of size 1: else its error stays above 1
        is_natural = options["optimiser"] == "natural gradient"
        weight = (17 * PI**2 - 1) ** -2 if is_natural else 1
        data = jinns.data.CubicMeshPDEStatio(
            **points, nb=None, dim=2, min_pts=(-1, -1), max_pts=(1, 1)
        )
        loss = jinns.loss.LossPDEStatio(
            u=u, loss_weights=jinns.loss.LossWeightsPDEStatio(dyn_loss=weight),
            dynamic_loss=equation_of(name), boundary_condition=None, params=params,
        )  # fmt: skip
        return u, params, data, loss
    soft = hard is None
    data = jinns.data.CubicMeshPDENonStatio(
        **points, nb=edges if soft else None, ni=edges if soft else None, dim=1,
        min_pts=(0 if name == "wave" else -1,), max_pts=(1,), tmin=0, tmax=1,
    )  # fmt: skip
    one = {"initial_condition": 1, "boundary_loss": 1} if soft else {}
    loss = jinns.loss.LossPDENonStatio(
        u=u, loss_weights=jinns.loss.LossWeightsPDENonStatio(dyn_loss=1, **one),
        dynamic_loss=equation_of(name), params=params,
        boundary_condition=jinns.loss.Dirichlet() if soft else None,
        initial_condition_fun=(lambda x: -jnp.sin(PI * x)) if soft else None,
    )  # fmt: skip
    return u, params, data, loss


def callback_value(params, batch, loss):
    return loss.evaluate(params, batch)[0]


def callback_gradient(params, batch, loss):
    return loss.ponderate_and_sum_gradient(loss.values_and_grads(params, batch)[1])


def get_gradient(grads):
    return grads


def main() -> None:
    options = json.loads(sys.argv[1])
    u, params, data, loss = built(options)
    weights = Weights(options["seconds"])
    steps = 0

    def solve(params, optimiser, every, limit, **extra):
        """Train for at most so many CPU seconds."""
        weights.begin(every, limit)
        solution = jinns.solve(
            init_params=params, data=data, optimizer=optimiser, loss=loss, n_iter=MANY,
            print_loss_every=MANY, verbose=False,
            validation=Told(tell=weights.tell, call_every=every), **extra,
        )  # fmt: skip
        nonlocal steps
        steps += weights.calls * every
        return solution[0]

    if options["optimiser"] == "natural gradient":
        solve(params, vanilla_ngd(), 2, options["seconds"])
    else:
        params = solve(params, optax.adam(1e-3), 50, options["seconds"] / 20)
        name = jinns.solver.GetJinnsVariableName
        extra = {
            "value": name("train_loss_value"), "grad_pt": get_gradient,
            "value_fn": callback_value, "grad_fn": callback_gradient,
            "batch": name("batch"), "loss": name("loss"),
        }  # fmt: skip
        solve(
            params, scale_by_SSBroyden_family(), 10, options["seconds"],
            extra_optax_args_and_kwargs=extra,
        )  # fmt: skip

    grid = np.load(options["grid"])
    points, expected = jnp.asarray(grid["points"]), jnp.asarray(grid["values"])
    structure = jax.tree.structure(params.nn_params)

    @jax.jit
    def error(leaves):
        now = eqx.tree_at(lambda own: own.nn_params, params, jax.tree.unflatten(structure, leaves))
        predicted = jax.vmap(lambda point: u(point, now))(points).ravel()
        return jnp.linalg.norm(predicted - expected) / jnp.linalg.norm(expected)

    print(json.dumps({
        "curve": [(seconds, float(error(leaves))) for seconds, leaves in weights.seen],
        "seconds": weights.spent,
        "steps": steps,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params.nn_params)),
        "outcome": "limit" if weights.spent >= weights.limit else "not finite",
        "versions": {"jinns": options["version"], "jax": jax.__version__},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
