"""The schema of study files, checked by pydantic."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pacpde.checks import as_float
from pacpde.datasets.grading import AUTO, EXACT, NONE
from pacpde.errors import InvalidValueError
from pacpde.expressions import evaluate
from pacpde.runtime import LARGEST_SEED
from pacpde.studies.variants import as_list

MOST_CELLS = 100_000


def _number(value: Any) -> float:
    """A number, or arithmetic such as "0.01/pi"."""
    if isinstance(value, str):
        return evaluate(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValueError(f"{value!r} is no number: write 0.02, or arithmetic as '0.01/pi'.")
    return as_float(value)


def _list_of(value: Any) -> list[Any]:
    values = list(as_list(value))
    if not values:
        raise InvalidValueError("the list is empty: give at least one value, or leave it out.")
    if len({repr(part) for part in values}) < len(values):
        raise InvalidValueError(f"{value} names something twice: name it once.")
    return values


def _seeds(value: Any) -> Any:
    """`5` stands for 0, 1, 2, 3, 4."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise InvalidValueError(f"seeds is {value}: give how many, or a list as [0, 3].")
        if value > MOST_CELLS:
            raise InvalidValueError(f"seeds is {value:,}, expected at most {MOST_CELLS:,}.")
        return list(range(value))
    return _list_of(value)


def _reference(value: Any) -> Any:
    if value not in (AUTO, NONE, EXACT):
        raise InvalidValueError(
            f"reference is {value!r}, expected {AUTO!r}, {NONE!r} or {EXACT!r}."
        )
    return value


Number = Annotated[float, BeforeValidator(_number)]
Coefficients = dict[str, Number]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED, strict=True)]
Seeds = Annotated[list[Seed], BeforeValidator(_seeds)]
Names = Annotated[list[str], BeforeValidator(_list_of)]
Counts = Annotated[list[Annotated[int, Field(strict=True)]], BeforeValidator(_list_of)]
Noise = Annotated[
    list[Annotated[Number, Field(ge=0, allow_inf_nan=False)]], BeforeValidator(_list_of)
]
Choices = Annotated[list[Annotated[bool, Field(strict=True)]], BeforeValidator(_list_of)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Transfers(_Table):
    """Transfers from one source to several targets; the study gives the keys that are left out."""

    family: str
    source: Coefficients = {}
    targets: Annotated[list[Coefficients], Field(min_length=1)]
    until: Number | None = None
    methods: Names | None = None
    seeds: Seeds | None = None
    labels: Counts | None = None
    noise: Noise | None = None
    physics: Choices | None = None
    settings: dict[str, Any] = {}


class Settings(_Table):
    """A whole study file."""

    methods: Names = ["pac", "warm_start", "scratch"]
    seeds: Seeds = [0]
    labels: Counts = [0]
    noise: Noise = [0.0]
    physics: Choices = [True]
    dtype: str = "float64"
    plugins: list[str] = []
    tuned: str | None = None
    reference: Annotated[str, BeforeValidator(_reference)] = AUTO
    reference_tolerance: Number | None = None
    options: dict[str, dict[str, Any]] = {}
    settings: dict[str, Any] = {}
    transfers: Annotated[list[Transfers], Field(min_length=1)]
