"""A library of solved coefficients: other ones are heads on its frozen backbone."""

from pacpde.methods.library.library import Library
from pacpde.methods.library.solutions import LibrarySolutions

__all__ = ["Library", "LibrarySolutions"]
