"""Old names are accepted with a warning that says the new one."""

import pytest

from pacpde import Surrogate
from pacpde.errors import InvalidValueError
from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.mlp import MLP
from pacpde.problems import Heat
from pacpde.renamed import renamed_attribute, renamed_declarations, renamed_keywords
from pacpde.runtime import Runtime


def test_an_old_keyword_is_the_new_one() -> None:
    @renamed_keywords(breadth="width")
    def area(width: float, height: float) -> float:
        return width * height

    with pytest.warns(FutureWarning, match=r"area\(breadth=\.\.\.\) was renamed: write width="):
        assert area(breadth=2, height=3) == 6  # type: ignore[call-arg]
    with pytest.raises(InvalidValueError, match="breadth and width"), pytest.warns(FutureWarning):
        area(breadth=2, width=2, height=3)  # type: ignore[call-arg]


def test_a_surrogate_still_has_memories() -> None:
    network = MLP(2, 1, 3, 1)
    weights = Runtime().tensor([0.0] * network.size)
    surrogate = Surrogate(network, PhysicsAnsatz(Heat()), weights)
    with pytest.warns(FutureWarning, match=r"Surrogate\.memories was renamed: write retained"):
        assert surrogate.memories is surrogate.retained


def test_what_a_class_declares_by_an_old_name_is_moved_and_read_by_both() -> None:
    class Box:
        width = 2
        breadth = renamed_attribute("breadth", "width")

        def __init_subclass__(cls) -> None:
            renamed_declarations(cls, {"breadth": "width"}, stacklevel=4)

    with pytest.warns(FutureWarning, match=r"Crate\.breadth was renamed: write width") as warnings:

        class Crate(Box):
            breadth = 3

    assert warnings[0].filename == __file__
    assert Crate().width == 3
    with pytest.warns(FutureWarning, match=r"Crate\.breadth was renamed"):
        assert Crate().breadth == 3
