"""Fair tuning: of as many trials of every method, the one that held-out residuals prefer.

A tuning study gives each method's options as lists; its coefficients are not those of the tables it
is for. `choose` picks, for each family and method, the options of the lowest median held-out
residual. The reference has no say.

```toml
[burgers.pac]              # 6 trials, held-out residual 2.1e-05
sparsity = 0.8
```
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pacpde.files import atomic_write
from pacpde.networks.outcome import Outcome
from pacpde.studies.folder import Outline
from pacpde.studies.records import Row

BARE = re.compile(r"[A-Za-z0-9_-]+")  # keys of TOML without quotes


@dataclass(frozen=True)
class TunedOptions:
    """The best trial of one method for a family.

    Attributes:
        options: of the trial that was chosen.
        held_out: its median held-out residual over targets and seeds. A failure counts as infinite,
            and so does a method that keeps its source and lost it.
        trials: number of trials.
        cells: number of cells of each trial.
    """

    family: str
    method: str
    options: Mapping[str, Any]
    held_out: float
    trials: int
    cells: int


def choose(outline: Outline, rows: Sequence[Row]) -> list[TunedOptions]:
    """The best trial of each family and method of a study that was carried out."""
    rows_by_cell = {row["cell"]: row for row in rows}
    methods: dict[tuple[str, str], dict[str, tuple[Mapping[str, Any], list[float]]]] = {}
    for name, variant in zip(outline.names, outline.variants, strict=True):
        trials = methods.setdefault((variant.family, variant.method), {})
        _, measured = trials.setdefault(variant.name, (variant.options, []))
        measured.append(_held_out(rows_by_cell.get(name)))
    best = []
    for (family, method), trials in methods.items():
        options, measured = min(trials.values(), key=lambda trial: float(np.median(trial[1])))
        held_out = float(np.median(measured))
        best.append(TunedOptions(family, method, options, held_out, len(trials), len(measured)))
    return best


def _held_out(row: Row | None) -> float:
    """Infinite where there is no result, and where the method lost the source it is to keep."""
    if row is None or row["held_out"] is None:
        return np.inf
    allocated = (row.get("outcomes") or {}).get("allocated", Outcome.CONVERGED)
    if row["outcome"].startswith("allocate") or allocated != Outcome.CONVERGED:
        return np.inf
    return row["held_out"] if np.isfinite(row["held_out"]) else np.inf


def write_tuned(choices: Sequence[TunedOptions], file: Path, *, overwrite: bool = True) -> None:
    """Write the options as TOML; a study reads them by `tuned = "FILE"`."""
    lines = ["# Written by `pacpde study choose`: of each method's trials, the one of the lowest",
             "# median held-out residual."]  # fmt: skip
    for choice in choices:
        cells = "one cell" if choice.cells == 1 else f"{choice.cells} cells"
        trials = "one trial" if choice.trials == 1 else f"{choice.trials} trials"
        origin = f"{trials} of {cells}, {choice.held_out:.1e}"
        lines += ["", f"[{_key(choice.family)}.{_key(choice.method)}]  # {origin}"]
        lines += [f"{_key(name)} = {_toml(value)}" for name, value in choice.options.items()]
    with atomic_write(file, overwrite=overwrite) as temporary:
        Path(temporary).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _key(name: str) -> str:
    """A name as TOML has it: bare where it may be."""
    return name if BARE.fullmatch(name) else _toml(name)


def _toml(value: Any) -> str:
    """An option as TOML has it, which differs from JSON in a few characters and numbers."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(name)} = {_toml(own)}' for name, own in value.items())}}}"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
