"""Variants: methods with the options that were given, and how tables call them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any


@dataclass(frozen=True)
class Variant:
    """A method with the options that were given, for a family.

    Example:
        >>> Variant("heat", "pac", {"sparsity": 0.8}).name
        'pac (sparsity=0.8)'
    """

    family: str
    method: str
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The method, with the options."""
        return self.name_with(self.options)

    @property
    def is_plain(self) -> bool:
        """Whether its family and method are names and its options a mapping, as in a file."""
        names = isinstance(self.family, str) and isinstance(self.method, str)
        return names and isinstance(self.options, Mapping)

    def name_with(self, options: Iterable[str]) -> str:
        """The method, with those of its options."""
        values = ", ".join(f"{name}={_text(self.options[name])}" for name in options)
        return f"{self.method} ({values})" if values else self.method


def distinguishing_names(variants: Sequence[Variant]) -> list[str]:
    """Name of each variant: its method and the options that differ among its family's variants.

    Options that were tuned for each family, and are the same inside it, are left out: they would
    make several methods of one.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for variant in variants:
        groups.setdefault((variant.method, variant.family), []).append(variant.options)
    varying: dict[str, set[str]] = {}
    for (method, _), alike in groups.items():
        names = {name for options in alike for name in options}
        varying.setdefault(method, set()).update(
            name for name in names if len({_text(options.get(name)) for options in alike}) > 1
        )
    return [
        variant.name_with(name for name in variant.options if name in varying[variant.method])
        for variant in variants
    ]


def option_combinations(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Options, some of which are lists of values, as every combination of them."""
    columns = [as_list(value) for value in options.values()]
    return [dict(zip(options, values, strict=True)) for values in product(*columns)]


def as_list(value: Any) -> Sequence[Any]:
    """A list, or the one value as a list."""
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)
