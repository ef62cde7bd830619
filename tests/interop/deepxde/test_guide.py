"""The guide's scripts run as they stand, but for the numbers of points and iterations."""

import re
from pathlib import Path
from typing import Any

import deepxde as dde
import numpy as np
import pytest

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "deepxde.md"
X = np.random.default_rng(0).uniform((-1, 0), (1, 0.99), (50, 2))
SHORTER = {
    "ADAM, LBFGS = 15_000, 15_000": "ADAM, LBFGS = 30, 10",
    "num_domain=2540": "num_domain=100",
    "STEPS = 5_000": "STEPS = 40",
    "model, data(0.02 / np.pi), train)": "model, data(0.02 / np.pi), train, rounds=1, tau=99)",
    "sparsity=0.5)\ntarget = Model": "sparsity=0.5, settings=SMALL)\ntarget = Model",
}


def test_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scripts = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    added = scripts[0].split("train(model)\n\n")[1]
    assert len([line for line in added.splitlines() if line.strip()]) <= 10
    whole = "\0".join(scripts)
    for long, short in SHORTER.items():
        assert whole.count(long) == 1
        whole = whole.replace(long, short)
    names: dict[str, Any] = {"SMALL": {"points": 100, "steps": 3}}
    parts = (compile(part, str(GUIDE), "exec") for part in whole.split("\0"))
    script, others, engine, string, flat, unknown, refined, operator = parts

    dde.optimizers.config.LBFGS_options |= {"iter_per_step": 10, "fun_per_step": 20}
    exec(script, names)
    assert np.array_equal(names["source"].predict(X), names["allocated"].predict(X))
    assert not np.array_equal(names["target"].predict(X), names["allocated"].predict(X))
    before = names["model"].predict(X)
    exec(others, names)
    assert names["report"].flops < names["report"].rounds[0][0]
    exec(engine, names)
    expected = names["result"].surrogate(X[:, 1], X[:, 0])
    np.testing.assert_allclose(names["target"].predict(X)[:, 0], expected, rtol=1e-10, atol=1e-12)
    assert np.array_equal(names["model"].predict(X), before)
    exec(string, names)
    said = re.search(r"loss_names\(FreeString\(\)\)  # (.*)", whole)
    assert said is not None and names["names"] == said[1].split(", ")
    assert len(names["string"].data.num_bcs) == len(names["names"]) - 1

    exec(flat, names)
    x = X[:, :1]
    assert np.array_equal(names["poisson_source"].predict(x), names["pac"].allocated.predict(x))
    assert not np.array_equal(names["poisson_target"].predict(x), names["pac"].allocated.predict(x))
    exec(unknown, names)
    assert names["source"].variables[0] != names["target"].variables[0]
    assert names["source"].variables[0] == names["rate"].detach()  # put there by recall
    assert np.array_equal(names["source"].predict(x), names["pac"].allocated.predict(x))
    exec(refined, names)
    assert len(names["refined"].data.anchors) == 3
    assert len(names["pac"].allocated.data.anchors) == 6  # those of the source's training, too
    assert np.array_equal(names["pac"].recall().predict(x), names["pac"].allocated.predict(x))
    exec(operator, names)
    given = names["operator_source"].data.test_x
    seen = names["operator_source"].predict(given)
    assert np.array_equal(names["pac"].recall().predict(given), seen)
    assert not np.array_equal(names["operator_target"].predict(given), seen)
