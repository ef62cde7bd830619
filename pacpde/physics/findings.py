"""What a check of a family finds: one sentence each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a finding means.

    Attributes:
        FOUND: it is so, and nothing is wrong with it.
        DOUBTFUL: it may be meant; look at it.
        WRONG: the check fails.
    """

    FOUND = "found"
    DOUBTFUL = "doubtful"
    WRONG = "wrong"


def sentence_case(text: str) -> str:
    """The text with its first letter as a capital, and all others as they are."""
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        about: what it is about, as "equation" or "fit".
        sentence: what was found, for the user.
        numbers: the same as numbers and names, for JSON.

    Example:
        >>> Finding("symmetry", "It declares no symmetry.").verdict
        <Verdict.FOUND: 'found'>
    """

    about: str
    sentence: str
    verdict: Verdict = Verdict.FOUND
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        about = {"about": self.about, "sentence": self.sentence, "verdict": self.verdict}
        return {**about, "numbers": dict(self.numbers)}
