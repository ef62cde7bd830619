"""What the commands write and say when all is well, or did not converge."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from pacpde import load
from pacpde.cli.commands import COMMANDS, command_of
from pacpde.errors import ExtrapolationWarning
from pacpde.methods import methods
from pacpde.physics import families
from pacpde.plugins import scope
from pacpde.studies import records

SMALL = ["--width", "10", "--depth", "2", "--points", "200", "--steps", "20"]
HEAT = ["compare", "heat", "--source", "alpha=0.4", "--target", "alpha=0.3", *SMALL]
PICTURES = ("maps.png", "error_vs_seconds.png", "source_error.png")


def test_families(call: Callable) -> None:
    ended = call("families", "--json", "-")
    content = json.loads(ended.out)
    assert set(content) == {"families"}
    assert [family["name"] for family in content["families"]] == families.names()
    burgers = next(family for family in content["families"] if family["name"] == "burgers")
    assert set(burgers) == {"name", "coefficients"}
    assert burgers["coefficients"]["nu"] == {
        "default": pytest.approx(0.01 / np.pi), "lower": 5e-4, "upper": 1.0,
        "meaning": "viscosity ν",
    }  # fmt: skip
    assert "burgers" in call("families").out


def test_methods(call: Callable) -> None:
    content = json.loads(call("methods", "--json", "-").out)
    assert [method["name"] for method in content["methods"]] == methods.names()
    assert all(set(method) == {"name", "summary"} for method in content["methods"])
    assert "sparsity=0.8" in " ".join(call("methods").out.split())


@pytest.mark.parametrize(
    "command", ["families", "methods", "solve", "train", "transfer", "predict", "compare"]
)
def test_help_teaches_by_example(command: str, call: Callable) -> None:
    ended = call(command, "--help")
    assert ended.status == 0
    assert f"Example: pacpde {command}" in ended.out
    for option in ("--json", "--device", "--seed", "--plugin", "--debug"):
        assert option in ended.out


def test_the_list_of_commands_says_what_each_says() -> None:
    """The list imports none of them."""
    for name, place in COMMANDS.items():
        assert command_of(name).get_short_help_str(200) == place.summary


def test_the_help_imports_little() -> None:
    asked = "import sys; from pacpde.cli import main; main(['--help']); "
    asked += "print(sorted({'torch', 'numpy', 'scipy', 'rich'} & {*sys.modules}))"
    ended = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    assert ended.returncode == 0 and "compare" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "[]"


def test_no_words_show_the_help(call: Callable) -> None:
    ended = call()
    assert ended.status == 0
    assert "compare" in ended.out


def test_solve(call: Callable, tmp_path: Path) -> None:
    ended = call(
        "solve", "heat", "alpha=0.8/2", "--tolerance", "1e-8", "--labels", "7", "--noise", "0.01",
        "-o", "new/heat.h5", "--json", "-",
    )  # fmt: skip
    assert ended.status == 0
    about = json.loads(ended.out)
    assert about["certified_error"] <= 1e-8
    with h5py.File(tmp_path / "new" / "heat.h5") as file:
        assert json.loads(file.attrs["coefficients"]) == {"alpha": 0.4}
        assert file["labels/points"].shape == (7, 2)
        t, x, u = file["axes/t"][:], file["axes/x"][:], file["fields/u"][:]
    exact = np.sin(np.pi * x) * np.exp(-0.4 * np.pi**2 * t[:, None])
    # the certificate: no further from the exact solution than it says
    assert np.linalg.norm(u - exact) <= about["certified_error"] * np.linalg.norm(exact)


def test_solve_without_a_time(call: Callable, tmp_path: Path) -> None:
    given = ["solve", "poisson", "a=2", "--tolerance", "1e-8", "--labels", "7", "-o", "made.h5"]
    about = json.loads(call(*given, "--json", "-").out)
    assert about["certified_error"] <= 1e-8 and about["until"] is None
    assert "collocation" in about["solver"]
    with h5py.File(tmp_path / "made.h5") as file:
        assert list(file["axes"]) == ["x", "y"] and file["labels/points"].shape == (7, 2)
        x, y, u = file["axes/x"][:], file["axes/y"][:], file["fields/u"][:]
    exact = families.get("poisson")(a=2.0).exact(*np.meshgrid(x, y, indexing="ij"))[0]
    assert np.linalg.norm(u - exact) <= about["certified_error"] * np.linalg.norm(exact)
    assert "holds this already" in call(*given, "--json", "-").err
    refused = call("solve", "poisson", "a=2", "--until", "0.5", "-o", "other.h5")
    assert refused.status == 2 and "has no time" in refused.err


def test_plugin(call: Callable, tmp_path: Path) -> None:
    (tmp_path / "decay.py").write_text(
        "from dataclasses import dataclass\n"
        "from pacpde.physics import Axis, Evolution, coefficient\n"
        "@dataclass(frozen=True)\n"
        "class Decay(Evolution):\n"
        '    """u_t = -k u from 1."""\n'
        '    name = "decay_of_a_plugin"\n'
        '    axes = (Axis("t", 0.0, 1.0),)\n'
        '    k: float = coefficient(1.0, lower=0.1, upper=10, meaning="rate")\n'
        "    def rhs(self, u, d):\n"
        "        return -self.k * u\n"
        "    def initial(self):\n"
        "        return 1.0\n"
    )
    ended = call("solve", "decay_of_a_plugin", "k=2", "-o", "x.h5", "--plugin", "decay.py")
    assert ended.status == 0
    with h5py.File(tmp_path / "x.h5") as file:
        # the certificate of an ODE's default tolerance
        assert file["fields/u"][-1] == pytest.approx(np.exp(-2), rel=1e-9)


def test_train_and_transfer(call: Callable, source: Path, tmp_path: Path) -> None:
    surrogate = load(source)
    assert surrogate.problem.alpha == 0.4
    assert surrogate.outcome == "converged"
    ended = call(
        "transfer", source, "alpha=0.3", "--method", "pac", "--sparsity", "0.5", "--steps", "30",
        "--labels", "5", "--json", "record.json", "-o", "runs/target",
    )  # fmt: skip
    record = json.loads((tmp_path / "record.json").read_text())
    records.check(record)
    assert ended.status == (0 if record["outcome"] == "converged" else 1)
    assert (record["target"], record["labels"]) == ({"alpha": 0.3}, 5)
    assert record["free_parameters"] == record["total_parameters"] // 2
    assert record["source_error"]["recalled"] == record["source_error"]["allocated"]
    target = load(tmp_path / "runs" / "target")
    t, x = np.meshgrid(np.linspace(0, 1, 40), np.linspace(0, 1, 40))
    exact = np.sin(np.pi * x) * np.exp(-0.3 * np.pi**2 * t)
    error = np.linalg.norm(target(t, x) - exact) / np.linalg.norm(exact)
    # another grid than the record's: the same error up to that
    assert error == pytest.approx(record["target_error"], rel=0.5)
    assert not list(tmp_path.rglob("*.journal"))


def test_a_fit_that_has_not_converged_is_kept(call: Callable, tmp_path: Path) -> None:
    ended = call(
        "train",
        "heat",
        *SMALL,
        "--tolerance",
        "1e-14",
        "--refinements",
        "0",
        "-o",
        "out",
        "--json",
        "-",
    )
    assert ended.status == 1
    assert json.loads(ended.out)["outcome"] != "converged"
    assert "heat(alpha=0.4): train ended" in ended.err
    assert load(tmp_path / "out").outcome != "converged"


def test_predict_of_a_family_of_a_file_asks_for_the_file(call: Callable) -> None:
    Path("mine.py").write_text(
        "from pacpde.problems import Heat\n\n\nclass Mine(Heat):\n    name = 'test_of_a_file'\n"
    )
    Path("points.csv").write_text("t,x\n0.5,0.5\n")
    tiny = ("--width", "3", "--depth", "1", "--points", "20", "--steps", "1", "--tolerance", "1")
    with scope():
        made = call("train", "test_of_a_file", *tiny, "-o", "run", "--plugin", "mine.py",
                    "--reference", "none")  # fmt: skip
        assert (Path("run") / "surrogate.json").exists(), made.err
    ended = call("predict", "run", "points.csv")
    assert ended.status == 2 and ended.err.count("\n") == 1
    assert "name the file of that family with --plugin" in ended.err
    assert call("predict", "run", "points.csv", "--plugin", "mine.py").status == 0


@pytest.fixture
def points(tmp_path: Path) -> Path:
    file = tmp_path / "points.csv"
    file.write_text("x,t\n0.5,0.25\n0.125,1\n0.75,0\n")
    return file


def test_predict(call: Callable, source: Path, points: Path, tmp_path: Path) -> None:
    assert call("predict", source, points, "-o", "out.csv").status == 0
    with (tmp_path / "out.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["x", "t", "u"]
    x, t, u = np.array(rows, float).T
    assert x.tolist() == [0.5, 0.125, 0.75]
    np.testing.assert_array_equal(u, load(source)(t, x))
    assert u[2] == pytest.approx(np.sin(0.75 * np.pi), rel=1e-12)  # the start is met exactly
    assert call("predict", source, points).out == (tmp_path / "out.csv").read_text()


def test_predict_against_a_reference(call: Callable, source: Path, tmp_path: Path) -> None:
    call("solve", "heat", "alpha=0.4", "--tolerance", "1e-8", "-o", "heat.h5")
    ended = call("predict", source, "heat.h5", "-o", "out.csv", "--json", "-")
    about = json.loads(ended.out)
    assert about["points"] == 101 * 513
    values = np.loadtxt(tmp_path / "out.csv", delimiter=",", skiprows=1)
    exact = np.sin(np.pi * values[:, 1]) * np.exp(-0.4 * np.pi**2 * values[:, 0])
    error = np.linalg.norm(values[:, 2] - exact) / np.linalg.norm(exact)
    assert about["error"] == pytest.approx(error, rel=1e-3)  # the reference is good to 1e-8
    assert ended.err == ""


def test_predict_against_a_reference_of_another_problem_says_so(
    call: Callable, source: Path
) -> None:
    call("solve", "heat", "alpha=0.3", "--tolerance", "1e-8", "-o", "heat.h5")
    ended = call("predict", source, "heat.h5", "-o", "out.csv", "--json", "-")
    assert ended.status == 0
    assert json.loads(ended.out)["error"] > 0.1  # α 0.4 against 0.3
    assert ended.err.count("\n") == 1
    assert "the file holds heat(alpha=0.3) and the surrogate solves heat(alpha=0.4)" in ended.err


BAD_POINTS = {
    "missing column": ("t\n0.5\n", "expected t, x"),
    "unknown column": ("t,y\n0.5,0.5\n", "expected t, x"),
    "repeated column": ("t,x,x\n0.5,0.5,0.5\n", "expected t, x"),
    "word": ("t,x\n0.5,0.5\n0.5,half\n", "line 3: x is 'half'"),
    "nan": ("t,x\nnan,0.5\n", "line 2: t is 'nan'"),
    "short row": ("t,x\n0.5\n", "line 2: 1 values"),
    "no point": ("t,x\n", "no point"),
    "empty": ("", "(none)"),
    "binary": ("\udcff", "is no UTF-8 text"),
    "outside": ("t,x\n0.5,0.5\n0.5,1.5\n", "x=1.5 (point 2)"),
}


@pytest.mark.parametrize("case", BAD_POINTS)
def test_bad_points(case: str, call: Callable, source: Path, tmp_path: Path) -> None:
    content, hint = BAD_POINTS[case]
    file = tmp_path / "points.csv"
    file.write_bytes(content.encode(errors="surrogateescape"))
    ended = call("predict", source, file, "-o", "out.csv")
    assert ended.status == 2
    assert hint in ended.err
    assert ended.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [file]


def test_predict_is_graded_by_values_of_the_file(
    call: Callable, source: Path, tmp_path: Path
) -> None:
    t, x = np.array([0.1, 0.2, 0.3, 1.0000000000000002]), np.array([0.5, 0.25, 0.75, 0.5])
    u = load(source)(t, x) * [1.0, 1.0, 1.0, 2.0]
    (tmp_path / "measured.csv").write_text(
        "\ufeffx;u;t\n"
        + "".join(f"{b!r};{c!r};{a!r}\n" for a, b, c in np.stack([t, x, u], 1).tolist())
    )
    ended = call("predict", source, "measured.csv", "-o", "out.csv", "--json", "-")
    about = json.loads(ended.out)
    error = u[3] / 2 / np.linalg.norm(u)
    assert about["error"] == pytest.approx(error, rel=1e-12)
    assert about["error_by_field"] == {"u": about["worst_field_error"]}
    assert (tmp_path / "out.csv").read_text().startswith("x,t,u\n0.5,0.1,")
    shown = call("predict", source, "measured.csv")
    assert f"against the file's u: {error:.2e}" in shown.err


def test_extrapolate(call: Callable, source: Path, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("t,x\n1.1,0.5\n")
    ended = call("predict", source, "points.csv", "--extrapolate")
    assert ended.status == 0
    with pytest.warns(ExtrapolationWarning, match="1 point lies outside"):
        assert float(ended.out.split(",")[-1]) == load(source)(1.1, 0.5)
    assert "1 point lies outside the domain" in ended.err and ended.err.count("\n") == 1


def test_compare(call: Callable, tmp_path: Path) -> None:
    words = [*HEAT, "--methods", "warm_start,scratch", "-o", "out"]
    ended = call(*words, "--json", "-")
    found = json.loads(ended.out)["records"]
    assert [record["method"] for record in found] == ["warm_start", "scratch"]
    assert ended.status == (0 if all(r["outcome"] == "converged" for r in found) else 1)
    assert records.read(tmp_path / "out" / "records.json") == found
    for picture in PICTURES:
        assert (tmp_path / "out" / picture).read_bytes().startswith(b"\x89PNG")
    for name in ("source", "warm_start", "scratch"):
        assert load(tmp_path / "out" / name).problem.name == "heat"
    again = call(*words, "--json", "-")
    assert json.loads(again.out)["records"] == found
    assert again.err.count("reused") == 3
    assert "warm_start" in call(*words).out


def kill_when(words: list[str], folder: Path, ready: Callable[[], bool]) -> None:
    """Run a command in its own process and kill -9 it once something is there."""
    command = [sys.executable, "-m", "pacpde.cli", *words]
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.poll() is None, "the command ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "weights.safetensors")


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert set(one) == set(other)
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def test_train_goes_on_after_a_kill(call: Callable, tmp_path: Path) -> None:
    words = ["train", "burgers", "nu=0.1", *SMALL, "--steps", "60", "-o"]
    kill_when([*words, "cut"], tmp_path, lambda: any(tmp_path.glob(".cut.journal/*.safetensors")))
    assert not (tmp_path / "cut").exists()
    call(*words, "cut")
    call(*words, "whole")
    assert_same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "whole"]


def test_compare_goes_on_after_a_kill(call: Callable, tmp_path: Path) -> None:
    words = [*HEAT, "--methods", "pac,warm_start", "-o"]
    fits = tmp_path / "cut" / ".journal"
    kill_when([*words, "cut"], tmp_path, lambda: any(fits.glob("*/calibrate*.safetensors")))
    call(*words, "cut")
    call(*words, "whole")
    for name in ("source", "pac", "warm_start"):
        assert_same(weights(tmp_path / "cut" / name), weights(tmp_path / "whole" / name))
    cut, whole = (records.read(tmp_path / name / "records.json") for name in ("cut", "whole"))
    timed = {"seconds"}
    assert [{k: v for k, v in record.items() if k not in timed} for record in cut] == [
        {k: v for k, v in record.items() if k not in timed} for record in whole
    ]
    assert not (tmp_path / "cut" / ".journal").exists()


def test_version_and_module(call: Callable) -> None:
    ended = call("--version")
    assert ended.status == 0 and f"torch {torch.__version__}" in ended.out
    root = Path(__file__).resolve().parents[2]
    called = subprocess.run(
        [sys.executable, "-m", "pacpde", "--version"], capture_output=True, text=True, cwd=root
    )
    assert called.stdout == ended.out


def test_identify(call: Callable, source: Path, tmp_path: Path) -> None:
    """From a CSV and from an HDF5 file, the same labels and so the same numbers."""
    words = ["heat", "alpha=0.3", "--labels", "25", "--noise", "0.01", "-o", "measured.h5"]
    assert call("solve", *words).status == 0
    with h5py.File("measured.h5") as file:
        points, values = file["labels/points"][:], file["labels/values"][:]
    rows = np.column_stack([values, points])[:, [0, 2, 1]]  # u, x, t
    np.savetxt("measured.csv", rows, delimiter=",", header="u,x,t", comments="", fmt="%.17g")
    small = ["--points", "200", "--steps", "15", "--json", "-"]
    made = call("identify", source, "measured.csv", "--unknown", "alpha", "-o", "found",
                "--beside-scipy", *small)  # fmt: skip
    assert made.status == 0
    content = json.loads(made.out)
    ours, theirs = (content[way]["estimates"]["alpha"] for way in ("surrogate", "scipy"))
    assert ours["value"] == pytest.approx(theirs["value"], abs=0.2 * theirs["standard_error"])
    assert abs(ours["value"] - 0.3) < 4 * ours["standard_error"] < 0.04
    again = json.loads(call("identify", source, "measured.h5", "-o", "again", *small).out)
    assert again["surrogate"]["estimates"]["alpha"] == ours
    assert load("found").problem.coefficients["alpha"] == ours["value"]


def test_identify_says_what_does_not_fit(call: Callable, source: Path, tmp_path: Path) -> None:
    """Values in other units end with status 1, and so does a noise that they exceed."""
    at = np.random.default_rng(0).uniform(0.1, 0.9, (12, 2))
    exact = np.sin(np.pi * at[:, 1]) * np.exp(-0.3 * np.pi**2 * at[:, 0])
    exact += 1e-3 * np.random.default_rng(1).standard_normal(12)
    for name, values in (("scaled.csv", 1.3 * exact), ("right.csv", exact)):
        rows = np.column_stack([at, values])
        np.savetxt(name, rows, delimiter=",", header="t,x,u", comments="")
    small = ["--points", "100", "--steps", "10"]
    ended = call("identify", source, "scaled.csv", "-o", "found", "--json", "found.json", *small)
    content = json.loads(Path("found.json").read_text())["surrogate"]
    assert ended.status == 1 and content["outcome"] == "misfit" and "it ended misfit" in ended.err
    assert len(content["doubts"]) == 1 and content["doubts"][0] in ended.err
    right = ["right.csv", "--noise", "1e-3", "--beside-scipy"]
    assert call("identify", source, *right, "-o", "right", *small).status == 0
    wrong = call("identify", source, "right.csv", "--noise", "1e-5", "-o", "wrong", *small)
    assert wrong.status == 1 and "times the noise that was given" in wrong.err


def test_identify_shows_an_infinite_error_again(
    call: Callable, source: Path, tmp_path: Path
) -> None:
    """The finished folder has null for it."""
    Path("one.csv").write_text("t,x,u\n" + 3 * "0.1,0.5,0.8\n")
    words = ["identify", source, "one.csv", "--points", "60", "--steps", "5", "-o", "found"]
    first, again = call(*words), call(*words)
    assert first.out == again.out and " inf " in again.out
    assert "2 of the 3 measurements repeat" in again.err


@pytest.mark.parametrize(
    "words, told",
    [
        (["none.csv"], "cannot be read"),
        (["half.csv"], "has the columns"),
        (["good.csv", "--unknown", "nu"], "'nu'"),
        (["far.csv"], "outside the domain"),
        (["good.csv", "--steps", "0"], "steps"),
    ],
)
def test_identify_refuses(
    words: list[str], told: str, call: Callable, source: Path, tmp_path: Path
) -> None:
    Path("half.csv").write_text("t,x\n0.1,0.2\n")
    Path("good.csv").write_text("t,x,u\n0.1,0.2,0.3\n0.2,0.2,0.3\n")
    Path("far.csv").write_text("t,x,u\n0.1,0.2,0.3\n9,0.2,0.3\n")
    ended = call("identify", source, *words, "-o", "found")
    assert ended.status == 2 and told in ended.err
    assert not Path("found").exists()


def test_transfer_from_the_nearest_of_several_sources(
    call: Callable, source: Path, tmp_path: Path
) -> None:
    assert call("train", "heat", "alpha=0.2", *SMALL, "-o", "other").status == 0
    words = ["--method", "warm_start", "--steps", "5", "--points", "100", "--json", "-"]
    ended = call("transfer", source, "alpha=0.19", "--among", "other", *words, "-o", "made")
    assert ended.status == 0
    assert json.loads(ended.out)["source"] == {"alpha": 0.2}
    assert "starting from other, heat(alpha=0.2)" in ended.err


def test_a_network_of_a_plugin(call: Callable) -> None:
    """Trained, transferred, compared and made again by its name, where its file is given."""
    plugin = "--plugin", Path(__file__).parents[1] / "networks" / "user_networks.py"
    network = "--network", "sines:count=30", "--points", "100", "--steps", "10"
    with scope():
        made = call("train", "heat", "alpha=0.4", *network, *plugin, "-o", "source")
        assert "unknown" not in made.err and load("source").network.size == 30
        assert call(
            "transfer", "source", "alpha=0.35", "--method", "warm_start", *plugin, "-o", "target",
            "--json", "record.json",
        ).err.count("Error") == 0  # fmt: skip
        assert json.loads(Path("record.json").read_text())["total_parameters"] == 30
    with scope():
        assert call("rerun", "record.json", *plugin).status == 0
        ended = call("train", "heat", *network, "--width", "5", *plugin, "-o", "other")
        assert ended.status == 2 and "--width has no effect here, the network" in " ".join(
            ended.err.split()
        )
    for words in (["rerun", "record.json"], ["transfer", "source", "alpha=0.3", "-o", "new"]):
        ended = call(*words)
        assert ended.status == 2 and "--plugin" in ended.err and "'sines'" in ended.err
    ended = call("train", "heat", *network, "-o", "other")
    assert ended.status == 2 and "unknown network 'sines'" in ended.err
    assert not Path("other").exists() and not Path("new").exists()


def test_a_study_of_a_network_of_its_plugin(call: Callable) -> None:
    file = Path(__file__).parents[1] / "networks" / "user_networks.py"
    Path("mine.py").write_text(file.read_text())
    Path("study.toml").write_text("""
        methods = ["warm_start"]
        plugins = ["mine.py"]
        settings = { network = { name = "sines", count = 20 }, points = 60, steps = 3 }
        [[transfers]]
        family = "heat"
        targets = [{ alpha = 0.3 }]
    """)
    with scope():
        assert call("study", "run", "study.toml", "-o", "out").status in (0, 1)
    ended = call("study", "check", "out/study.toml")
    assert "mine.py" in ended.err and "--trust" in ended.err
    with scope():
        ended = call("study", "run", "out/study.toml", "--trust", "-o", "out", "--json", "-")
        (row,) = json.loads(ended.out)["records"]
        assert row["total_parameters"] == 20
        assert row["provenance"]["source"]["settings"]["network"]["name"] == "sines"


def test_a_ladder_says_every_rung(call: Callable[..., Any], source: Path) -> None:
    ladder = ("transfer", source, "alpha=0.1", "--ladder", "0.2", "--reference", "none")
    steps = ("--steps", 20, "--points", 200)
    done = call(*ladder, *steps, "--method", "warm_start", "-o", "moved", "--json", "moved.json")
    assert done.status == 0, done.err
    rungs = json.loads(Path("moved.json").read_text())["rungs"]
    assert [rung["coefficients"]["alpha"] for rung in rungs] == [0.2, 0.1]
    shown = " ".join(call(*ladder, *steps, "--method", "warm_start", "-o", "moved").out.split())
    assert "rung 1" in shown and "estimated" in shown
    wrong = call("transfer", source, "alpha=0.1", "--ladder", "0.7", "-o", "other")
    assert wrong.status == 2 and "lead from the source's 0.4 to the target's 0.1" in wrong.err
    absent = call(*ladder, "--method", "last_layer", "-o", "other")
    assert absent.status == 2 and "ladder" in absent.err
