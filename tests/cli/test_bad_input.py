"""Wrong input: exit status 2, one helpful sentence, nothing written, no traceback."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pacpde.cli import main

COMPARE = ("compare", "heat", "-o", "out", "--source", "alpha=0.4", "--target")

BAD = {
    "unknown family": (
        ("solve", "burger", "nu=0.1", "-o", "x.h5"),
        "did you mean burgers or burgers2d?; for one of your own, name the file of its class with",
    ),
    "unknown command": (("slove", "burgers", "-o", "x.h5"), "slove"),
    "unknown coefficient": (("solve", "burgers", "mu=0.1", "-o", "x.h5"), "nu"),
    "no equals sign": (("solve", "burgers", "0.1", "-o", "x.h5"), "name=value"),
    "empty value": (("solve", "burgers", "nu=", "-o", "x.h5"), "empty"),
    "empty name": (("solve", "burgers", "=1", "-o", "x.h5"), "name=value"),
    "twice": (("solve", "burgers", "nu=0.1", "nu=0.2", "-o", "x.h5"), "twice"),
    "zero": (("train", "burgers", "nu=0", "-o", "x"), "0.0005"),
    "negative": (("train", "burgers", "nu=-0.1", "-o", "x"), "0.0005"),
    "nan": (("train", "burgers", "nu=nan", "-o", "x"), "arithmetic"),
    "inf": (("train", "burgers", "nu=inf", "-o", "x"), "arithmetic"),
    "overflow": (("train", "burgers", "nu=1e999", "-o", "x"), "finite"),
    "code": (("solve", "burgers", "nu=__import__('os')", "-o", "x.h5"), "arithmetic"),
    "bomb": (("solve", "burgers", "nu=9**9**9", "-o", "x.h5"), "finite"),
    "no output": (("train", "heat"), "--output"),
    "tolerance": (("solve", "heat", "--tolerance", "0", "-o", "x.h5"), "1e-12"),
    "solve labels": (("solve", "heat", "--labels", "-1", "-o", "x.h5"), "labels"),
    "solve noise": (("solve", "heat", "--labels", "3", "--noise", "nan", "-o", "x.h5"), "noise"),
    "until": (("solve", "heat", "--until", "-1", "-o", "x.h5"), "until"),
    "seed": (("train", "heat", "--seed", "-1", "-o", "x"), "seed"),
    "steps": (("train", "heat", "--steps", "0", "-o", "x"), "steps"),
    "word for a number": (("train", "heat", "--steps", "many", "-o", "x"), "steps"),
    "device": (("train", "heat", "--device", "abacus", "-o", "x"), "cpu"),
    "dtype": (("train", "heat", "--dtype", "float8", "-o", "x"), "float64"),
    "plugin": (("families", "--plugin", "missing.py"), ".py"),
    "json to a folder": (("families", "--json", "."), "folder"),
    "no target": (("transfer", "SOURCE", "-o", "x"), "alpha"),
    "empty target": (("transfer", "SOURCE", "alpha=", "-o", "x"), "empty"),
    "coefficient of another family": (("transfer", "SOURCE", "nu=0.1", "-o", "x"), "alpha"),
    "another family": (("transfer", "SOURCE", "alpha=1", "--family", "lorenz", "-o", "x"), "heat"),
    "no source": (("transfer", "missing", "alpha=1", "-o", "x"), "missing"),
    "method": (("transfer", "SOURCE", "alpha=1", "--method", "pca", "-o", "x"), "pac"),
    "sparsity 0": (("transfer", "SOURCE", "alpha=1", "--sparsity", "0", "-o", "x"), "sparsity"),
    "sparsity 1": (("transfer", "SOURCE", "alpha=1", "--sparsity", "1", "-o", "x"), "sparsity"),
    "sparsity -1": (("transfer", "SOURCE", "alpha=1", "--sparsity", "-1", "-o", "x"), "sparsity"),
    "sparsity nan": (("transfer", "SOURCE", "alpha=1", "--sparsity", "nan", "-o", "x"), "sparsity"),
    "nothing freed": (("transfer", "SOURCE", "alpha=1", "--sparsity", "1e-6", "-o", "x"), "frees"),
    "nothing kept": (("transfer", "SOURCE", "alpha=1", "--sparsity", "0.999", "-o", "x"), "keeps"),
    "strength": (("transfer", "SOURCE", "alpha=1", "--strength", "-1", "-o", "x"), "strength"),
    "strength inf": (("transfer", "SOURCE", "alpha=1", "--strength", "inf", "-o", "x"), "finite"),
    "strength nan": (("transfer", "SOURCE", "alpha=1", "--strength", "nan", "-o", "x"), "finite"),
    "strength grouped": (
        ("transfer", "SOURCE", "alpha=1", "--strength", "0.1_5", "-o", "x"),
        "arithmetic",
    ),
    "noise inf": (
        ("transfer", "SOURCE", "alpha=1", "--labels", "3", "--noise", "inf", "-o", "x"),
        "finite",
    ),
    "noise alone": (
        ("transfer", "SOURCE", "alpha=1", "--noise", "0.1", "-o", "x"),
        "noise applies to labels",
    ),
    "solve noise alone": (("solve", "heat", "--noise", "0.1", "-o", "x.h5"), "applies to labels"),
    "compare noise alone": ((*COMPARE, "alpha=1", "--noise", "0.1"), "noise applies to labels"),
    "compare seed and seeds": (
        (*COMPARE, "alpha=1", "--seed", "0", "--seeds", "1,2"),
        "put every seed into --seeds",
    ),
    "compare seed": ((*COMPARE, "alpha=1", "--seed", "-3"), "seed is -3"),
    "labels": (("transfer", "SOURCE", "alpha=1", "--labels", "-1", "-o", "x"), "labels"),
    "noise": (("transfer", "SOURCE", "alpha=1", "--noise", "-1", "-o", "x"), "noise"),
    "nothing to fit": (("transfer", "SOURCE", "alpha=1", "--no-physics", "-o", "x"), "labels"),
    "option": (("transfer", "SOURCE", "alpha=1", "--set", "colour=1", "-o", "x"), "colour"),
    "option value": (("transfer", "SOURCE", "alpha=1", "--set", "steps=2.5", "-o", "x"), "whole"),
    "option twice": (
        ("transfer", "SOURCE", "alpha=1", "--sparsity", "0.5", "--set", "sparsity=0.6", "-o", "x"),
        "twice",
    ),
    "settings of scipy": (
        ("transfer", "SOURCE", "alpha=1", "--method", "scipy", "--memory", "1", "-o", "x"),
        "--memory has no effect here, scipy fits no network: leave it out",
    ),
    "steps twice": (
        (
            "transfer",
            "SOURCE",
            "alpha=1",
            "--method",
            "l2sp",
            "--steps",
            "3",
            "--set",
            "steps=2",
            "-o",
            "x",
        ),
        "--steps has no effect here, l2sp has its own, as an option",
    ),
    "memory of adam": (
        ("train", "heat", "--optimiser", "adam", "--memory", "1", "-o", "x"),
        "--memory has no effect here, the optimiser forms no matrix",
    ),
    "memory of an optimiser": (
        (*COMPARE, "alpha=1", "--optimiser", "levenberg_marquardt:damping=1", "--memory", "1"),
        "--memory has no effect here, the optimiser is an object with its own",
    ),
    "onto its source": (("transfer", "SOURCE", "alpha=1", "-o", "SOURCE"), "source"),
    "compare without a target": (("compare", "heat", "--source", "alpha=1", "-o", "x"), "target"),
    "compare method": ((*COMPARE, "alpha=1", "--methods", "pac,warm"), "warm_start"),
    "compare no method": ((*COMPARE, "alpha=1", "--methods", ","), "--methods"),
    "compare twice": ((*COMPARE, "alpha=1", "--methods", "pac,pac"), "twice"),
    "compare coefficient": ((*COMPARE, "beta=1"), "alpha"),
    "compare sparsity": ((*COMPARE, "alpha=1", "--sparsity", "1"), "sparsity"),
    "compare nothing freed": ((*COMPARE, "alpha=1", "--sparsity", "1e-6"), "frees none of the"),
    "compare nothing kept": ((*COMPARE, "alpha=1", "--sparsity", "0.99999"), "keeps none of the"),
    "compare no width": ((*COMPARE, "alpha=1", "--width", "0"), "width"),
    "train json inside": (("train", "heat", "-o", "x", "--json", "x/about.json"), "collides"),
    "train json around": (("train", "heat", "-o", "x/y", "--json", "x"), "collides"),
    "train json equal": (("train", "heat", "-o", "x", "--json", "y/../x"), "collides"),
    "solve json equal": (("solve", "heat", "-o", "x.h5", "--json", "x.h5"), "collides"),
    "transfer json in the source": (
        ("transfer", "SOURCE", "alpha=1", "-o", "x", "--json", "SOURCE/surrogate.json"),
        "collides",
    ),
    "transfer into the source": (("transfer", "SOURCE", "alpha=1", "-o", "SOURCE/x"), "collides"),
    "compare json equal": ((*COMPARE, "alpha=1", "--json", "out"), "collides"),
    "compare json in a place": ((*COMPARE, "alpha=1", "--json", "out/pac"), "collides"),
    "compare json among cells": ((*COMPARE, "alpha=1", "--json", "out/.cells/x"), "collides"),
    "compare foreign option": (
        (*COMPARE, "alpha=1", "--methods", "scratch", "--sparsity", "0.5"),
        "sparsity",
    ),
    "compare seeds": ((*COMPARE, "alpha=1", "--seeds", "0,0"), "different"),
    "compare words as seeds": ((*COMPARE, "alpha=1", "--seeds", "a,b"), "0,1,2"),
    "compare labels": ((*COMPARE, "alpha=1", "--labels", "-2"), "labels"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(case: str, call: Callable, source: Path, tmp_path: Path) -> None:
    words, hint = BAD[case]
    before = sorted(source.parent.rglob("*"))
    ended = call(*(word.replace("SOURCE", str(source)) for word in words))
    assert ended.status == 2
    assert ended.out == ""
    assert ended.err.startswith("pacpde: ")
    assert ended.err.count("\n") == 1
    assert hint in ended.err
    assert list(tmp_path.iterdir()) == []
    assert sorted(source.parent.rglob("*")) == before


OUTPUTS = {
    "solve": ("solve", "heat"),
    "train": ("train", "heat"),
    "transfer": ("transfer", "SOURCE", "alpha=0.3"),
    "predict": ("predict", "SOURCE", "points.csv"),
    "compare": ("compare", "heat", "--source", "alpha=0.4", "--target", "alpha=0.3"),
}


@pytest.mark.parametrize("command", OUTPUTS)
@pytest.mark.parametrize("place", ["in a file", "json in a file", "kernel"])
def test_place_not_writable(
    command: str, place: str, call: Callable, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "points.csv").write_text("t,x\n0.5,0.5\n")
    where = {
        "in a file": ("-o", "file/below"),
        "json in a file": ("-o", "out", "--json", "file/below"),
        "kernel": ("-o", "/proc/nowhere/out"),
    }[place]
    words = (source if word == "SOURCE" else word for word in OUTPUTS[command])
    ended = call(*words, *where)
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"file", "points.csv"}
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", ["train", "transfer", "compare"])
def test_a_folder_of_something_else_is_left_alone(
    command: str, call: Callable, source: Path, tmp_path: Path
) -> None:
    inside = tmp_path / "out" / ("pac" if command == "compare" else "")
    inside.mkdir(parents=True)
    (inside / "thesis.tex").write_text("mine")
    words = (source if word == "SOURCE" else word for word in OUTPUTS[command])
    assert call(*words, "-o", "out").status == 2
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert found == [inside / "thesis.tex"]


@pytest.mark.parametrize("command", ["train", "transfer", "compare"])
def test_a_surrogate_with_a_file_beside_is_left_alone_before_any_fit(
    command: str, call: Callable, source: Path, tmp_path: Path
) -> None:
    inside = tmp_path / "out" / ("pac" if command == "compare" else "")
    shutil.copytree(source, inside)
    (inside / "notes.txt").write_text("mine")
    words = (source if word == "SOURCE" else word for word in OUTPUTS[command])
    ended = call(*words, "-o", "out")
    assert ended.status == 2
    assert "notes.txt" in ended.err and "step" not in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("output", ["points.csv", "./points.csv", "SOURCE/out.csv"])
def test_a_prediction_spares_what_it_reads(
    output: str, call: Callable, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "points.csv").write_text("t,x\n0.5,0.5\n")
    ended = call("predict", source, "points.csv", "-o", output.replace("SOURCE", str(source)))
    assert ended.status == 2
    assert "collides" in ended.err and ended.err.count("\n") == 1
    assert (tmp_path / "points.csv").read_text() == "t,x\n0.5,0.5\n"
    assert {path.name for path in source.iterdir()} == {"surrogate.json", "weights.safetensors"}


@pytest.fixture(scope="session")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("solved") / "heat.h5"
    assert main(["solve", "heat", "alpha=0.4", "--tolerance", "1e-8", "-o", str(file)]) == 0
    return file


@pytest.mark.parametrize("damage", ["truncated", "changed", "text", "missing"])
def test_damaged_reference(
    damage: str, call: Callable, source: Path, solved: Path, tmp_path: Path
) -> None:
    file, content = tmp_path / "heat.h5", bytearray(solved.read_bytes())
    if damage == "changed":
        content[len(content) // 2] ^= 1
    written = {"truncated": content[:-1000], "changed": content, "text": b"t,x\n"}
    if damage != "missing":
        file.write_bytes(written[damage])
    ended = call("predict", source, file, "-o", "out.csv")
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["surrogate.json", "weights.safetensors"])
def test_damaged_surrogate(name: str, call: Callable, source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "source")
    file = tmp_path / "source" / name
    file.write_bytes(file.read_bytes()[:-20])
    ended = call("transfer", "source", "alpha=0.3", "-o", "out")
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_debug_shows_where(call: Callable) -> None:
    plain = call("solve", "burgers", "nu=0", "-o", "x.h5")
    debug = call("solve", "burgers", "nu=0", "-o", "x.h5", "--debug")
    assert plain.status == debug.status == 2
    assert "Traceback" not in plain.err
    assert "Traceback" in debug.err


def test_an_internal_error_is_one_sentence(call: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("pacpde.datasets.reference_for", broken)
    ended = call("solve", "heat", "-o", "x.h5")
    assert ended.status == 1
    assert "internal error, ZeroDivisionError: two lines; use --debug" in ended.err
    assert ended.err.count("\n") == 1


def test_an_interruption_is_one_line(call: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pacpde.datasets.reference_for", interrupted)
    ended = call("solve", "heat", "-o", "x.h5")
    assert ended.status == 130
    assert ended.err.count("\n") == 1
