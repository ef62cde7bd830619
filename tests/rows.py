"""Rows of a study that never ran, for what reads rows alone."""

from typing import Any


def row(variant: str, seed: int, error: float | None, **more: Any) -> dict[str, Any]:
    """One of heat's transfers from 0.4 to 0.2, that ended with this error."""
    seconds = {"source": 10.0, "prune": 0.0, "allocate": None, "calibrate": 5.0, "total": 5.0}
    return {
        "family": "heat", "source": {"alpha": 0.4}, "target": {"alpha": 0.2}, "until": None,
        "labels": 0, "noise": 0.0, "physics": True, "variant": variant, "seed": seed,
        "target_error": error, "outcome": "converged", "seconds": seconds, "seconds_to": {},
        "source_error": {"trained": 1e-4, "recalled": None}, "fault": None,
        "distance": 0.5, "reference_seconds": 0.1, "reference_error": 1e-11, **more,
    }  # fmt: skip
