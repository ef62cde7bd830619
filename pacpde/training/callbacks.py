"""What a fit tells while it runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Update:
    """A progress event."""

    stage: str
    step: int
    total: int
    held_out: float
    seconds: float


Progress = Callable[[Update], None]


def prefixed(name: object, progress: Progress) -> Progress:
    """Progress whose stages start with a name."""

    def relay(update: Update) -> None:
        progress(replace(update, stage=f"{name}, {update.stage}"))

    return relay
