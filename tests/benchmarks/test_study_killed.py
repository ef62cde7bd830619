"""What the study that is killed waits for."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One without processes, of which no cell is ever finished."""
    monkeypatch.syspath_prepend(FOLDER)
    import study_killed  # type: ignore[import-not-found]

    monkeypatch.setattr(study_killed, "STALLED", 0.5)
    monkeypatch.setattr(study_killed.Cluster, "begin", lambda self: None)
    made = study_killed.Cluster(tmp_path / "study.toml", tmp_path / "out")
    print("the last words", file=made.log, flush=True)
    yield made
    made.log.close()


def test_it_gives_up_a_study_that_stands_still(cluster: Any) -> None:
    client = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(SystemExit, match=r"no cell was finished in 0\.5 s; .*\nthe last words"):
        cluster.wait_for(client, 1)
    client.kill()
    client.wait()


def test_it_gives_up_where_the_client_ended(cluster: Any) -> None:
    client = subprocess.Popen([sys.executable, "-c", ""])
    client.wait()
    with pytest.raises(SystemExit, match="a process ended early"):
        cluster.wait_for(client, 1)
    assert cluster.status(client) == 0
