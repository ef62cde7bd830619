"""A surrogate of any named kind of network comes back from its folder, in a fresh process too."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pacpde import Surrogate, load, save
from pacpde.errors import DataFileError, InvalidValueError
from pacpde.networks import Activation, PhysicsAnsatz
from pacpde.networks.checkpoint import ABOUT, WEIGHTS
from pacpde.networks.kinds import _are_same
from pacpde.networks.mlp import MLP
from pacpde.networks.protocol import Network, networks
from pacpde.networks.reparametrised import LowRank
from pacpde.networks.sealed import checksum
from pacpde.plugins import load_plugin, scope
from pacpde.problems import Heat

FILE = Path(__file__).with_name("user_networks.py")
T, X = np.linspace(0, 1, 7), np.linspace(0, 1, 7)


def surrogate_of(network: Network) -> Surrogate:
    rng = np.random.default_rng(3)
    weights = torch.from_numpy(rng.normal(0, 0.5, network.size))
    return Surrogate(network, PhysicsAnsatz(Heat(alpha=0.3)), weights)


def changed(folder: Path, **entries: Any) -> None:
    """Other entries in surrogate.json, sealed again; None takes one out."""
    about = {**json.loads((folder / ABOUT).read_text()), **entries}
    about = {name: value for name, value in about.items() if value is not None}
    sealed = {**about, "checksum": checksum(about, (folder / WEIGHTS).read_bytes())}
    (folder / ABOUT).write_text(json.dumps(sealed))


@pytest.mark.parametrize(
    ("name", "options"),
    [("sines", {"count": 30}), ("gained", {"width": (5, 4), "depth": 2, "gain": 0.7})],
)
def test_it_comes_back_in_a_fresh_process(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    load_plugin(FILE)
    made = surrogate_of(networks.get(name).from_settings({"inputs": 2, "outputs": 1, **options}))
    save(made, tmp_path / "made")
    assert load(tmp_path / "made").network == made.network
    code = f"""
        import json
        import numpy as np
        from pacpde import load
        from pacpde.plugins import load_plugin
        load_plugin({str(FILE)!r})
        made = load({str(tmp_path / "made")!r})
        t = x = np.linspace(0, 1, 7)
        both = made(t, x).tolist(), made.derivative("xx")(t, x).tolist()
        print(json.dumps([type(made.network).__name__, *both]))
    """
    said = subprocess.run(
        [sys.executable, "-c", "\n".join(line[8:] for line in code.splitlines())],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    kind, values, second = json.loads(said)
    assert kind == type(made.network).__name__
    assert values == made(T, X).tolist() and second == made.derivative("xx")(T, X).tolist()
    assert np.ptp(values) > 0.1


def test_a_dense_network_keeps_its_keys(tmp_path: Path) -> None:
    save(surrogate_of(MLP(2, 1, 5, 1)), tmp_path / "made")
    about = json.loads((tmp_path / "made" / ABOUT).read_text())
    dense = {"inputs": 2, "outputs": 1, "width": 5, "depth": 1, "activation": "tanh"}
    assert about["network"] == dense and "network_values" not in about


def test_a_kind_that_is_not_known_here_is_asked_for(tmp_path: Path) -> None:
    with scope():
        load_plugin(FILE)
        save(surrogate_of(networks.get("sines")(2)), tmp_path / "made")
    with pytest.raises(DataFileError, match=r"'sines', which is not known here: .*--plugin"):
        load(tmp_path / "made")


def test_a_kind_whose_file_was_changed_is_noticed(tmp_path: Path) -> None:
    text, file = FILE.read_text(), tmp_path / "mine.py"
    for number, (old, new, words) in enumerate(
        [
            ("rng.normal(0, 2, ", "rng.normal(0, 2.001, ", "it gives other outputs"),
            ("with fixed a and b", "with a and b fixed", ""),
            ("count: int", "number: int", "it raises TypeError"),
        ]
    ):
        folder = tmp_path / str(number)
        with scope():
            file.write_text(text)
            load_plugin(file)
            save(surrogate_of(networks.get("sines")(2)), folder)
        with scope():
            assert text.count(old) == 1
            file.write_text(text.replace(old, new))
            load_plugin(file)
            if not words:  # of a change in what gives no outputs
                load(folder)
                continue
            with pytest.raises(DataFileError, match=rf"'sines' was changed .*{words}"):
                load(folder)


def test_what_would_not_come_back_is_not_saved(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Shifted(MLP):
        name = "shifted"

        shift: float = 1.0

        @property
        def settings(self) -> dict[str, Any]:
            return {name: value for name, value in super().settings.items() if name != "shift"}

        def forward(self, *given: Any) -> torch.Tensor:
            return super().forward(*given) + self.shift

    @dataclass(frozen=True)
    class Loose(MLP):
        name = "loose"

        rule: Any = None

    @dataclass(frozen=True)
    class Nameless(Shifted):
        pass

    save(surrogate_of(Shifted(2, 1, 3, 1)), tmp_path / "default")
    for network, words in {
        Shifted(2, 1, 3, 1, shift=2.0): "Shifted cannot be saved, .*its outputs are others then",
        Loose(2, 1, 3, 1, rule=object()): "Loose cannot be saved, .*not JSON serializable",
        Nameless(2, 1, 3, 1): "class Nameless cannot be saved, .*no name of its own",
        LowRank(MLP(2, 1, 3, 1), rank=1): "class LowRank cannot be saved, .*no name of its own",
    }.items():
        with pytest.raises(InvalidValueError, match=words):
            save(surrogate_of(network), tmp_path / "made")
        assert not (tmp_path / "made").exists()


def test_a_description_is_no_code(tmp_path: Path) -> None:
    save(surrogate_of(MLP(2, 1, 5, 1)), tmp_path / "made")
    changed(tmp_path / "made", network={"name": "torch.nn.Linear", "in_features": 2})
    with pytest.raises(DataFileError, match=r"class torch\.nn\.Linear, which had no name"):
        load(tmp_path / "made")


def test_an_activation_that_is_not_known_here_is_asked_for(tmp_path: Path) -> None:
    load_plugin(FILE)
    with scope():

        class Square(Activation):
            name = "square"

            def value(self, z: torch.Tensor) -> torch.Tensor:
                return z * z

        gained = networks.get("gained").from_settings
        made = {"inputs": 2, "outputs": 1, "width": 3, "depth": 1, "activation": "square"}
        save(surrogate_of(gained(made)), tmp_path / "made")
    with pytest.raises(DataFileError, match=r"a 'gained' with an unknown .* 'square'.*--plugin"):
        load(tmp_path / "made")


def test_a_network_of_one_precision_is_not_saved(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Single(MLP):
        name = "single"

        def forward(self, weights: torch.Tensor, jet: torch.Tensor, *given: Any) -> torch.Tensor:
            return super().forward(weights.float(), jet, *given)

    with pytest.raises(InvalidValueError, match=r"Single cannot be saved, .*in float64 on the CPU"):
        save(surrogate_of(Single(2, 1, 3, 1)), tmp_path / "made")


def test_a_kind_that_is_incomplete_is_refused_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "half.py"
    file.write_text(
        "from pacpde.networks.protocol import Network\n\nclass Half(Network):\n    name = 'half'\n"
    )
    with pytest.raises(InvalidValueError, match=r"half\.py.*network 'half' lacks .*forward"):
        load_plugin(file)
    assert "half" not in networks.names()


def test_networks_are_the_same_where_all_of_their_outputs_are() -> None:
    assert _are_same([[1.0, 2.0], [3.0]], [[1.0, 2.0], [3.0]])
    assert not _are_same([[1.0, 2.0], [3.0]], [[1.0, 2.0], [4.0]])
    assert not _are_same([[1.0]], [[1.0], [2.0]])
