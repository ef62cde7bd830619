"""Reference solutions by scipy that certify their own error."""

from pacpde.reference.certificate import default_tolerance, solve
from pacpde.reference.solution import Reference, relative_l2

__all__ = ["Reference", "default_tolerance", "relative_l2", "solve"]
