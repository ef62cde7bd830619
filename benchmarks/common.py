"""What the benchmarks share: grading, thresholds, machine, records."""

import json
import os
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT))  # from a checkout, installed or not

Curve = list[tuple[float, float]]  # seconds, error
PAIR = re.compile(r"\[\s+(\d[\d.e+-]*),\s+(\d[\d.e+-]*)\s+\]")  # of numbers, in indented JSON


def reached(curve: Curve, threshold: float) -> float | None:
    """Seconds until the error was first below a threshold; None where it never was."""
    return next((seconds for seconds, error in curve if error <= threshold), None)


def grid_of(problem: Any, points: int = 129) -> tuple[list[Any], Any]:
    """(coordinates, values [fields, points]) of the certified reference, thinned for grading."""
    import numpy as np

    from pacpde.datasets import reference_for

    reference = reference_for(problem)
    axes = [axis[:: max(1, len(axis) // points)] for axis in reference.axes.values()]
    flat = [part.ravel() for part in np.meshgrid(*axes, indexing="ij")]
    return flat, np.stack(reference(*flat))


def watched(problem: Any) -> Callable[[Any], float]:
    """The error of surrogates against the reference, for an `ErrorHistory`."""
    import numpy as np

    axes, expected = grid_of(problem)

    def watch(made: Any) -> float:
        found = np.reshape(made(*axes), expected.shape)
        return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))

    return watch


def predicting(problem: Any) -> Callable[[Callable[[Any], Any]], float]:
    """Grades a DeepXDE prediction, [points, axes] → [points, fields], against the reference."""
    import numpy as np

    watch = watched(problem)
    # DeepXDE has time last
    return lambda predict: watch(lambda t, *space: np.asarray(predict(np.stack([*space, t], 1))).T)


def on_target(made: Any) -> Curve:
    """(seconds on the target, error) of a transfer, where it was graded."""
    before = made.surrogate.seconds - made.method_result.seconds["calibrate"]
    graded = [entry for entry in made.history if entry.get("error") is not None]
    return [(entry["seconds"] - before, entry["error"]) for entry in graded]


def fitted(problem: Any, seed: int, **settings: Any) -> dict[str, Any]:
    """`pacpde.fit` from nothing, watched: its curve, and how it ended."""
    from pacpde.methods import TrainingConfig
    from pacpde.methods.base import train_from_scratch
    from pacpde.networks.ansatz import network_for
    from pacpde.residuals.physics_task import PhysicsTask
    from pacpde.residuals.task import SamplingSpec
    from pacpde.training.callbacks import ErrorHistory

    config = TrainingConfig.of(problem, **settings)
    task = PhysicsTask(problem, hard=config.hard, seed=seed)
    network = network_for(
        task.ansatz(SamplingSpec()), config.width, config.depth, config.activation
    )
    _, made = train_from_scratch(task, network, config, seed, [ErrorHistory(watched(problem))])
    return {
        "curve": [(entry["seconds"], entry["error"]) for entry in made.history],
        "seconds": made.seconds,
        "steps": made.steps,
        "evaluations": made.evaluations,
        "held_out": made.held_out,
        "outcome": made.outcome,
        "parameters": network.size,
        "points": config.points,
        "optimiser": config.as_json()["optimiser"],
    }


def machine(threads: int) -> dict[str, Any]:
    """What the seconds depend on; no names of hosts or people."""
    cpu = platform.processor() or platform.machine()
    details = Path("/proc/cpuinfo")
    if details.exists():
        named = [
            line
            for line in details.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        cpu = named[0].partition(":")[2].strip() if named else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        **_gpu(),
    }


def _gpu() -> dict[str, str]:
    import torch

    return {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}


def begun(what: str, threads: int) -> dict[str, Any]:
    """A record without runs, and torch set to so many threads."""
    import torch

    from pacpde.runtime import versions

    torch.set_num_threads(threads)
    return {"what": what, "machine": machine(threads), "versions": versions(), "runs": []}


def joined(files: Sequence[Path]) -> dict[str, Any]:
    """Records of some runs each, as one; they are of the first one's machine and versions."""
    parts = [json.loads(file.read_text()) for file in files]
    return {**parts[0], "runs": [run for part in parts for run in part["runs"]]}


def write_record(record: Mapping[str, Any], path: Path) -> None:
    """As JSON, numbers to six digits and a pair of a curve a line; replaced at once."""
    from pacpde.files import atomic_write

    text = PAIR.sub(r"[\1, \2]", json.dumps(_rounded(record), indent=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        Path(temporary).write_text(text + "\n", encoding="utf-8")
    print(f"written: {path}", file=sys.stderr)


def _rounded(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    return float(f"{content:.6g}") if isinstance(content, float) else content


def write_table(page: Path, name: str, table: str) -> None:
    """Put a table between its markers in a page."""
    start, end = f"<!-- {name} table -->\n", f"<!-- end of {name} table -->"
    before, rest = page.read_text(encoding="utf-8").split(start)
    _, after = rest.split(end)
    page.write_text(before + start + table + end + after, encoding="utf-8")


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
