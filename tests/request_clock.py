"""A clock by which every request of a fit takes one second."""

import itertools
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from pacpde.optim import stepwise
from pacpde.residuals.physics_task import PhysicsTask


@dataclass
class RequestClock:
    """Counts requests and assessments since it was made.

    Attributes:
        readings: of the clock, two for each request.
    """

    readings: int = 0
    assessments: int = 0

    @classmethod
    def patched(cls, monkeypatch: pytest.MonkeyPatch) -> "RequestClock":
        """The clock by which requests are timed from now on."""
        clock, assess = cls(), PhysicsTask.assess

        def counted(*args: Any, **options: Any) -> Any:
            clock.assessments += 1
            return assess(*args, **options)

        moments = itertools.count()

        def perf_counter() -> float:
            clock.readings += 1
            return float(next(moments))

        monkeypatch.setattr(PhysicsTask, "assess", counted)
        monkeypatch.setattr(stepwise, "time", SimpleNamespace(perf_counter=perf_counter))
        return clock

    @property
    def seconds(self) -> float:
        """That fits are to say they took: one a request, without assessments."""
        return self.readings / 2 - self.assessments
