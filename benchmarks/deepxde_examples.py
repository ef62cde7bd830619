"""DeepXDE's own example scripts through PAC, warm start and L2-SP: is every kept weight kept?

git clone https://github.com/lululxvi/deepxde
python benchmarks/deepxde_examples.py deepxde/examples

Each script runs unchanged in a process of its own, in a copy of the folder, on DeepXDE's pytorch
backend.
What stands in for its lines:

- a training takes 3 iterations (L-BFGS: 3), and a script that trains in a loop ends after 6;
- data have 200 points inside and 40 at start and edges at most, operators 8 functions;
- `from deepxde.backend import tf` gives torch's functions of these names, as the scripts' comments
  ask for with the pytorch backend;
- `dde.saveplot` and `plt.show` do nothing;
- a line that other backends do not need, listed in the worker (`LINES`) and in the record.

Then its last trained model goes through PAC (prune, allocate, calibrate under Adam, L-BFGS, AdamW
with weight decay and SGD with momentum and weight decay, recall), warm start and L2-SP, on its own
data, with its own weights of losses and external variables. Every comparison is to the last bit:
kept weights, recalled weights, outputs and variables, and the source itself. Scripts that name no
pytorch backend are left out, with the reason.
"""

import json
import os
import resource
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from signal import SIGXCPU
from typing import Any

from common import Benchmark, Record, Run, markdown, without_faults

FOLDERS = ("function", "operator", "pinn_forward", "pinn_inverse")
SECONDS = 120  # of a processor that one script may take


def runs(options: Namespace, record: Record) -> Iterator[Run]:
    folder: Path = options.examples
    if folder is None or not any((folder / own).is_dir() for own in FOLDERS):
        raise SystemExit(f"{folder} holds no examples of DeepXDE: name its folder `examples`.")
    global deepxde_examples_worker
    import deepxde_examples_worker  # DeepXDE takes seconds, and tables need none

    version = deepxde_examples_worker.warm_up()
    record["versions"] = {**record["versions"], "deepxde": version}
    scripts = [path for own in FOLDERS for path in sorted((folder / own).glob("*.py"))]
    for script in scripts:
        name = f"{script.parent.name}/{script.name}"
        if options.only is not None and options.only not in name:
            continue
        reason = left_out(script)
        if reason is not None:
            yield {"script": name, "status": "left out", "reason": reason}
        else:
            yield of_script(folder, name)


def left_out(script: Path) -> str | None:
    """Why a script says itself that it does not run on the pytorch backend."""
    text = script.read_text(encoding="utf-8")
    head = text.split('"""')[1] if text.startswith('"""') else ""
    if "Backend supported" in head and "pytorch" not in head:
        return f"for other backends: {head.split(':', 1)[1].split(chr(10))[0].strip()}"
    return None


def of_script(folder: Path, name: str) -> Run:
    """In a process of its own, which is forked when everything is imported."""
    with tempfile.TemporaryDirectory() as place:
        copy, result = Path(place) / "examples", Path(place) / "result.json"
        shutil.copytree(folder, copy)
        arguments = copy / name, result, Path(place) / "output.txt"
        process = get_context("fork").Process(target=_run, args=arguments)
        process.start()
        process.join()
        if result.exists():
            return json.loads(result.read_text(encoding="utf-8"))
        last = arguments[2].read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        reason = f"more than {SECONDS} seconds" if process.exitcode == -SIGXCPU else str(last)
        return {"script": name, "status": "failed", "reason": reason[:200]}


def _run(script: Path, result: Path, output: Path) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    with output.open("w", encoding="utf-8") as opened, open(os.devnull, encoding="utf-8") as none:
        os.dup2(opened.fileno(), 1)
        os.dup2(opened.fileno(), 2)
        os.dup2(none.fileno(), 0)
        result.write_text(json.dumps(deepxde_examples_worker.main(script)), encoding="utf-8")


def faults(record: Record) -> list[str]:
    """What was not equal."""
    return [
        f"{run['script']}: {fault}" for run in record["runs"] for fault in run.get("faults", [])
    ]


def table(record: Record) -> str:
    """A row a script, and the sums."""
    ran = [run for run in record["runs"] if run["status"] == "ran"]
    checks = sum(run["checks"] for run in ran)
    rows = [
        [
            f"`{run['script']}`", run["data"], run["network"], str(run["variables"] or ""),
            str(run["checks"]), _remarks(run),
        ]
        for run in ran
    ]  # fmt: skip
    others = [
        [f"`{run['script']}`", run["status"], run["reason"].replace("|", r"\|")]
        for run in record["runs"]
        if run["status"] != "ran"
    ]
    summary = (
        f"{len(ran)} scripts ran through PAC, warm start and L2-SP, with {checks:,} comparisons to "
        f"the last bit, of which {len(faults(record))} failed.\n\n"
    )
    head = ["script", "data", "network", "variables", "comparisons", "what stood in"]
    listed = markdown(["script", "", "reason"], others) if others else ""
    return summary + markdown(head, rows) + "\n" + listed


def _remarks(run: Run) -> str:
    ended: list[Any] = [f"ended in {run['script_ended']}"] if "script_ended" in run else []
    return "; ".join([*run["stands_in"], *ended]).replace("|", r"\|")


def main() -> None:
    parser = Benchmark(__doc__ or "", "deepxde_examples")
    parser.add_argument("examples", type=Path, nargs="?", help="DeepXDE's folder of examples")
    parser.add_argument("--only", metavar="TEXT", help="scripts whose name holds it")
    parser.carry_out(
        "DeepXDE's example scripts through PAC, warm start and L2-SP, to the last bit",
        runs,
        lambda record: without_faults(table(record), faults(record)),
    )


if __name__ == "__main__":
    main()
