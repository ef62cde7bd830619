"""Readers of text under inputs that are guided by the lines of pacpde that they reach.

As fuzz.py, but each input grows out of those that reached new lines (libFuzzer by the package
atheris, which the extras of pacpde do not install). It ends at the first fault, which it keeps.

    pip install atheris
    python benchmarks/fuzz_guided.py columns --runs 200000
"""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import atheris  # type: ignore[import-not-found]

from pacpde.errors import PacpdeError

READERS = ("expression", "csv", "columns", "reference", "study", "tuned")
LONGEST = 4096  # bytes of an input


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", default="fault_", help="how names of files with faults begin")
    options = parser.parse_args()
    with atheris.instrument_imports(include=["pacpde"]):
        from fuzz_targets import TARGETS
    target = TARGETS[options.reader]
    folder = Path(tempfile.mkdtemp(prefix="fuzz_guided_"))
    (folder / "inputs").mkdir()
    target.make(folder / "inputs")

    def one_input(content: bytes) -> None:
        (folder / "file").write_bytes(content)
        try:
            target.read(folder / "file")
        except PacpdeError as refusal:
            assert str(refusal).strip()

    warnings.simplefilter("ignore")
    how = [f"-runs={options.runs}", f"-seed={options.seed}", f"-max_len={LONGEST}", "-timeout=10"]
    place = [f"-artifact_prefix={options.keep}", str(folder / "inputs")]
    atheris.Setup([sys.argv[0], *how, *place], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
