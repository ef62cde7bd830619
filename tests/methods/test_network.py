"""`network=` of a fit: one network however it is written, refused where it does not suit."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pacpde import MLP, TrainingConfig, compare, fit, fit_many, fit_table, identify, load, transfer
from pacpde.errors import DataFileError, InvalidValueError, UnknownNameError
from pacpde.networks.protocol import Network, networks
from pacpde.plugins import load_plugin, scope
from pacpde.problems import BurgersPeriodic, Heat, Lorenz
from pacpde.studies.cells import Cell, Training
from pacpde.studies.rerun import rerun
from tests.networks.user_networks import GainedMLP, SineSeries

FILE = Path(__file__).parents[1] / "networks" / "user_networks.py"
SMALL: dict[str, Any] = {"points": 40, "steps": 2}
HEAT = Heat(alpha=0.4)
ANY: Any = None

WRITTEN: dict[str, Any] = {
    "object": MLP(2, 1, 5, 1),
    "class": partial(MLP, width=5, depth=1),
    "function": lambda inputs, outputs: MLP(inputs, outputs, 5, 1),
    "name": "mlp:width=5,depth=1",
    "mapping": {"name": "mlp", "width": 5, "depth": 1},
    "description": json.loads(json.dumps({"name": "mlp", **MLP(2, 1, 5, 1).settings})),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_however_it_is_written_the_fit_is_the_same(way: str) -> None:
    expected = fit(HEAT, width=5, depth=1, **SMALL)
    made = fit(HEAT, network=WRITTEN[way], **SMALL)
    assert torch.equal(made.weights, expected.weights)
    settings = made.provenance["settings"]
    assert settings["network"] == {"name": "mlp", **MLP(2, 1, 5, 1).settings}
    assert "width" not in settings and "network_source" not in made.provenance
    assert "network" not in expected.provenance["settings"]
    config = TrainingConfig.of(HEAT, network=WRITTEN[way], **SMALL)
    assert torch.equal(fit(HEAT, settings=config).weights, expected.weights)
    assert torch.equal(fit(HEAT, settings=settings).weights, expected.weights)


def test_the_frequency_of_the_family_is_of_every_network() -> None:
    """It says how the solution oscillates; width and depth of the family do not apply."""
    problem = Lorenz(until=0.1)
    expected = fit(problem, width=5, depth=1, **SMALL)
    made = fit(problem, network=MLP(1, 3, 5, 1, "sin"), **SMALL)
    assert torch.equal(made.weights, expected.weights)
    other = fit(problem, network=MLP(1, 3, 5, 1, "sin"), frequency=1.0, **SMALL)
    assert torch.equal(
        other.weights, fit(problem, width=5, depth=1, frequency=1.0, **SMALL).weights
    )
    assert not torch.equal(other.weights, made.weights)


def test_many_fits_each_make_their_own() -> None:
    problems = [HEAT, Lorenz(until=0.1)]
    made = fit_many(
        problems, network=partial(MLP, width=4, depth=1, activation="sin"), workers=1, **SMALL
    )
    alone = [fit(problem, width=4, depth=1, activation="sin", **SMALL) for problem in problems]
    for one, other in zip(made, alone, strict=True):
        assert torch.equal(one.weights, other.weights)


def test_a_table_takes_one() -> None:
    columns = np.random.default_rng(0).uniform(size=(40, 3))
    made = fit_table(columns, columns[:, 0] * columns[:, 1], network=GainedMLP, steps=3)
    assert made.network == GainedMLP(3, 1)
    with pytest.raises(
        InvalidValueError, match=r"the table needs inputs=3 and outputs=1 \(its columns"
    ):
        fit_table(columns, columns[:, 0], network=MLP(2, 1), steps=3)


class Narrow(SineSeries):
    """It says two outputs and gives one."""


class Single(SineSeries):
    """It takes inputs in float32 alone."""

    def features(self, jet: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
        return super().features(jet, names).float()


class Long(SineSeries):
    """Its weights are longer than it says."""

    def init_weights(self, rng: np.random.Generator, frequency: float | None = None) -> np.ndarray:
        return np.zeros(self.size + 1)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "inputs": (lambda: fit(HEAT, network=MLP(3, 1)),
        r"has inputs=3 and outputs=1, and heat\(alpha=0\.4\) needs inputs=2 and outputs=1 .*"
        r"make it with these, or write network=lambda inputs, outputs"),
    "a periodic axis": (lambda: fit(BurgersPeriodic(), network=MLP(2, 1)),
        r"needs inputs=3 and outputs=1 \(an input for each axis, two for a periodic one"),
    "outputs": (lambda: fit(Lorenz(), network=MLP(1, 1)), "needs inputs=1 and outputs=3"),
    "many": (lambda: fit_many([HEAT], network=MLP(3, 1)), "has inputs=3"),
    "a source": (lambda: Training(HEAT, settings={"network": MLP(3, 1)}), "has inputs=3"),
    "width": (lambda: fit(HEAT, network=MLP(2, 1), width=24),
        "the setting width has no effect here, the network that is given has its own"),
    "all": (lambda: fit(HEAT, network=MLP(2, 1), settings={"depth": 2, "activation": "sin"}),
        "the setting depth has no effect here, the network"),
    "config": (lambda: TrainingConfig(network=MLP(2, 1), depth=2), "depth has no effect here"),
    "frequency": (lambda: fit(HEAT, network=SineSeries(2), frequency=3.0),
        "frequency has no effect here, the random weights of a SineSeries do not depend on it"),
    "number": (lambda: fit(HEAT, network=30), "network is 30, expected a network: write network="),
    "one argument": (lambda: fit(HEAT, network=lambda inputs: MLP(inputs, 1)),
        "called with inputs=2 and outputs=1 and raised TypeError"),
    "no network": (lambda: fit(HEAT, network=lambda inputs, outputs: inputs),
        "which makes 2, expected a network"),
    "outputs of one column": (lambda: fit(Lorenz(), network=Narrow(1, 3)),
        r"Narrow gives outputs \(1, 3, 1\) at 3 points, expected \(1, 3, 3\)"),
    "weights": (lambda: fit(HEAT, network=Long(2)), r"Long has size 60, .*give \(61,\)"),
    "one precision": (lambda: fit(HEAT, network=Single(2)),
        "Single cannot be evaluated .RuntimeError.*: let its forward take"),
    "name": (lambda: fit(HEAT, network="mpl"),
        "unknown network 'mpl': did you mean mlp.; for one of your own, name the file"),
    "option": (lambda: fit(HEAT, network="mlp:widht=3"),
        "option of the network mlp 'widht': did you mean width"),
    "text": (lambda: fit(HEAT, network="mlp:width"), "a name with options, each once"),
    "twice": (lambda: fit(HEAT, network="mlp:width=3,width=4"), "width is given twice"),
    "value": (lambda: fit(HEAT, network="mlp:width=many"), "width of a network is 'many'"),
    "a transfer": (
        lambda: transfer(fit(HEAT, width=3, **SMALL), Heat(), settings={"network": "mlp"}),
        "the setting network has no effect here, the network is the source's"),
    "an identification": (
        lambda: identify(
            fit(HEAT, width=3, **SMALL), np.full((9, 2), 0.5), np.ones(9), network="mlp"),
        "the setting network has no effect here"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_suit_is_refused(case: str) -> None:
    call, words = REFUSED[case]
    with pytest.raises((InvalidValueError, UnknownNameError), match=words):
        call()


def test_the_key_of_a_source_names_the_network_that_is_made() -> None:
    sources = {way: Training(HEAT, settings={"network": WRITTEN[way]}) for way in WRITTEN}
    keys = {way: source.key for way, source in sources.items()}
    assert len(set(keys.values())) == 1
    assert len({Cell(source, Heat(alpha=0.3), "pac").key for source in sources.values()}) == 1
    other = Training(HEAT, settings={"network": MLP(2, 1, 6, 1)}).key
    assert other not in keys.values() and other != Training(HEAT).key


SCRIPT = """
if __name__ == "__main__":
    import numpy as np
    from pacpde import fit, save
    from pacpde.problems import Heat

    made = fit(Heat(alpha=0.4), network=StoredSines, settings={"points": 150, "steps": 10})
    save(made, "made")
    t = x = np.linspace(0, 1, 9)
    np.save("values.npy", made(t, x))
"""


def test_a_network_of_a_script_is_fitted_stored_and_read_elsewhere(tmp_path: Path) -> None:
    script = tmp_path / "my_script.py"
    script.write_text(FILE.read_text() + SCRIPT)
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, check=True)
    with pytest.raises(DataFileError, match=r"'sines', which is not known here: .*--plugin"):
        load(tmp_path / "made")
    load_plugin(script)
    made, t = load(tmp_path / "made"), np.linspace(0, 1, 9)
    assert np.array_equal(made(t, t), np.load(tmp_path / "values.npy"))
    assert type(made.network) is networks.get("sines")
    assert made.held_out < 0.05  # sixty random sines
    exact = np.exp(-0.4 * np.pi**2 * t) * np.sin(np.pi * t)
    assert np.linalg.norm(made(t, t) - exact) < 0.05 * np.linalg.norm(exact)
    result = transfer(made, Heat(alpha=0.35), method="warm_start", settings={"steps": 5})
    assert result.target_error < result.zero_shot_error / 5


def test_a_record_makes_its_network_again(tmp_path: Path) -> None:
    with scope():
        load_plugin(FILE)
        settings = {"network": {"name": "sines", "count": 30}, "points": 60, "steps": 4}
        made = compare(HEAT, Heat(alpha=0.35), ["warm_start", "scratch"], settings=settings)
        records = json.loads(json.dumps(made.records))
        assert all(row["total_parameters"] == 30 for row in records)
        again = rerun(records)
        assert [one.differing for one in again] == [[], []]
    with pytest.raises(DataFileError, match=r"network of the source is 'sines', .*--plugin"):
        rerun(records)
    (tmp_path / "mine.py").write_text(FILE.read_text() + "# changed\n")
    load_plugin(tmp_path / "mine.py")
    with pytest.raises(DataFileError, match="file of the source's network is not the one"):
        rerun(records)


def test_the_key_of_a_source_depends_on_the_file_of_its_activation(tmp_path: Path) -> None:
    text = """
import torch
from torch import nn
from pacpde.networks import Activation

class Bump(Activation):
    name = "bump"

    def value(self, z):
        return torch.exp(-z * z)
"""
    keys = []
    for comment in ("# one", "# two"):
        (tmp_path / "mine.py").write_text(text + comment)
        with scope():
            load_plugin(tmp_path / "mine.py")
            keys += [
                Training(HEAT, settings={"activation": "bump"}).key,
                Training(HEAT, settings={"network": MLP(2, 1, activation="bump")}).key,
            ]
    assert len(set(keys)) == 4


def test_a_record_of_a_class_without_a_name_is_not_made_again() -> None:
    made = compare(
        HEAT, Heat(alpha=0.35), ["warm_start"], settings={"network": SineSeries, **SMALL}
    )
    with pytest.raises(DataFileError, match=r"of the class .*SineSeries, which had no name"):
        rerun(json.loads(json.dumps(made.records)))


def test_the_lines_of_the_guide() -> None:
    page = (FILE.parents[2] / "docs" / "engine.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert block.count("fit(Heat(), network=") == 3
    code = block.replace("fit(Heat(),", "fit(Heat(), points=40, steps=1,")
    exec(compile(code, "engine.md", "exec"), {})


def test_a_network_is_written_as_it_is_made() -> None:
    """A class that is no dataclass has the text of its settings, the same in every process."""
    text = "MLP(inputs=2, outputs=1, width=3, depth=1, activation='tanh')"
    assert Network.__repr__(MLP(2, 1, 3, 1)) == repr(MLP(2, 1, 3, 1)) == text


def test_a_function_or_a_class_may_make_a_torch_module() -> None:
    class Chain(nn.Sequential):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__(nn.Linear(inputs, 5), nn.Tanh(), nn.Linear(5, outputs))

    x = np.linspace(0.1, 0.9, 4)
    values = [
        fit(HEAT, network=network, seed=3, **SMALL)(0.5, x)
        for network in (Chain(2, 1), Chain, lambda inputs, outputs: Chain(inputs, outputs))
    ]
    assert np.array_equal(values[0], values[1]) and np.array_equal(values[0], values[2])
