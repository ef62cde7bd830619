"""Activations and their derivatives: against autograd and known series; files of a user."""

from pathlib import Path

import pytest
import torch

from pacpde import Surrogate, fit, load, save
from pacpde.errors import DataFileError, InvalidValueError
from pacpde.networks import PhysicsAnsatz
from pacpde.networks.activations import HIGHEST, Activation, activations, check_activation
from pacpde.networks.jets import activate, slopes, vjp
from pacpde.networks.mlp import MLP
from pacpde.physics.derivatives import channel_names
from pacpde.plugins import load_plugin, scope
from pacpde.problems import Heat

Z = torch.cat([torch.linspace(-3, 3, 25), torch.tensor([-30.0, 30.0])]).double()


def nested(value, z: torch.Tensor, order: int) -> list[torch.Tensor]:
    """f and its derivatives by reverse differentiation, one around the other."""
    z = z.clone().requires_grad_(True)
    found = [value(z)]
    for _ in range(order):
        found.append(torch.autograd.grad(found[-1].sum(), z, create_graph=True)[0])
    return [own.detach() for own in found]


@pytest.mark.parametrize("name", activations.names())
def test_derivatives_equal_autograd(name: str) -> None:
    activation = activations.get(name)()
    expected = nested(activation.value, Z, HIGHEST)
    for order in range(1, HIGHEST + 1):
        found = activation.derivatives(Z, order)
        assert len(found) == order + 1
        for own, other in zip(found, expected, strict=False):
            size = float(other[:25].abs().max())
            assert size > 0.05
            # the largest is 16; rounding of sums of a few terms
            torch.testing.assert_close(own, other, rtol=0, atol=2e-14 * max(1.0, size))


@pytest.mark.parametrize(
    ("name", "at_zero"),
    [
        ("tanh", [0, 1, 0, -2, 0, 16]),  # z − z³/3 + 2z⁵/15
        ("sin", [0, 1, 0, -1, 0, 1]),
        ("sigmoid", [0.5, 0.25, 0, -0.125, 0, 0.25]),
        ("swish", [0, 0.5, 0.5, 0, -0.5, 0]),
    ],
)
def test_series_at_zero(name: str, at_zero: list[float]) -> None:
    found = slopes(name, torch.zeros(1, dtype=torch.float64), HIGHEST)
    assert [float(own) for own in found] == pytest.approx(at_zero, abs=1e-15)


def test_values_are_those_of_torch_and_finite_far_out() -> None:
    far = torch.tensor([-800.0, -40.0, -1.0, 1.0, 40.0, 800.0], dtype=torch.float64)
    functional = torch.nn.functional
    expected = {
        "softplus": functional.softplus(far, threshold=50.0),
        "swish": functional.silu(far),
        "gelu": functional.gelu(far),
    }
    for name in activations.names():
        found = slopes(name, far, HIGHEST)
        assert all(bool(own.isfinite().all()) for own in found), name
        if name in expected:
            torch.testing.assert_close(found[0], expected[name], rtol=1e-14, atol=1e-16)


def test_an_activation_that_gives_only_a_value_is_differentiated() -> None:
    class Arctangent(Activation):
        name = "arctangent"

        def value(self, z: torch.Tensor) -> torch.Tensor:
            return torch.atan(z)

    found = Arctangent().derivatives(Z, HIGHEST)
    for own, other in zip(found, nested(torch.atan, Z, HIGHEST), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-12)
    # and jets and their reverse pass go through it, differentiable by torch
    names = channel_names({"txx", "xxxx"})
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(len(names), 4, 3, generator=generator, dtype=torch.float64).requires_grad_()
    given = torch.randn(1, len(names), 4, 3, generator=generator, dtype=torch.float64)
    bent = slopes("arctangent", z[0], HIGHEST)
    out = activate(bent, z, names)
    (expected,) = torch.autograd.grad(out, z, given[0])
    made = vjp([own.detach() for own in bent], z.detach(), names, given)[0]
    torch.testing.assert_close(made, expected, rtol=1e-11, atol=1e-11)
    with torch.no_grad():
        assert torch.equal(slopes("arctangent", z[0], HIGHEST)[5], bent[5])


GAUSSIAN = """
import torch

from pacpde.networks import Activation


class Gaussian(Activation):
    \"\"\"f(z) = exp(−z²).\"\"\"

    name = "gaussian"

    def value(self, z):
        return torch.exp(-z * z)
"""


def test_one_file_is_enough(tmp_path: Path) -> None:
    (tmp_path / "gaussian.py").write_text(GAUSSIAN, encoding="utf-8")
    load_plugin(tmp_path / "gaussian.py")
    settings = {"width": 8, "depth": 1, "points": 150, "steps": 10, "activation": "gaussian"}
    fitted = fit(Heat(alpha=0.4), seed=0, settings=settings)
    assert fitted.network.settings["activation"] == "gaussian"
    assert fitted.held_out < 1e-2  # 41 weights, 10 steps


def test_a_stored_surrogate_notices_another_activation_of_the_name(tmp_path: Path) -> None:
    file, folder = tmp_path / "gaussian.py", tmp_path / "made"
    file.write_text(GAUSSIAN, encoding="utf-8")
    with scope():
        load_plugin(file)
        network = MLP(2, 1, 5, 1, "gaussian")
        weights = torch.linspace(-1, 1, network.size, dtype=torch.float64)
        made = Surrogate(network, PhysicsAnsatz(Heat(alpha=0.4)), weights)
        save(made, folder)
        assert load(folder)(0.5, 0.3) == made(0.5, 0.3)
    with pytest.raises(DataFileError, match=r"activation .* 'gaussian', which is not known here: "):
        load(folder)
    file.write_text(GAUSSIAN.replace("-z * z", "-z * z / 2"), encoding="utf-8")
    load_plugin(file)
    with pytest.raises(DataFileError, match=r"activation of the network .*gives other outputs"):
        load(folder)


WRONG = {
    "a wrong derivative": (
        "def derivatives(self, z, order):\n        f = torch.tanh(z)\n"
        "        return [f, 1 - f * f, -2 * f, f, f, f][: order + 1]",
        r"derivative of order 2 is .* and that of its value is",
    ),
    "too few": (
        "def derivatives(self, z, order):\n        return [torch.tanh(z), 1 / torch.cosh(z) ** 2]",
        r"up to order 5: give f, f', ..., 6 in all",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_derivatives_of_a_file_are_refused(case: str, tmp_path: Path) -> None:
    body, message = WRONG[case]
    text = GAUSSIAN.replace("torch.exp(-z * z)", "torch.tanh(z)") + f"\n    {body}\n"
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidValueError, match=f"activation 'gaussian'.*{message}"):
        load_plugin(tmp_path / "mine.py")
    assert "gaussian" not in activations.names()


def test_what_is_no_function_of_each_number_is_refused_by_the_network() -> None:
    class Normed(Activation):
        name = "normed"

        def value(self, z: torch.Tensor) -> torch.Tensor:
            return z / z.norm()

    class Numpy(Activation):
        name = "numpy"

        def value(self, z: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(z.numpy() ** 2)

    with pytest.raises(InvalidValueError, match=r"'normed' is -1 at -1.7 alone.*of its own"):
        MLP(1, 1, activation="normed")
    with pytest.raises(InvalidValueError, match=r"'numpy' cannot be evaluated.*functions of torch"):
        MLP(1, 1, activation="numpy")


def test_an_incomplete_one_is_refused() -> None:
    class Empty(Activation):
        name = "empty"

    with pytest.raises(InvalidValueError, match="activation 'empty' lacks value"):
        check_activation(Empty)
