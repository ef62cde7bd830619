"""Reference solutions by scipy that certify their own error."""

from pacpde.reference.certificate import default_tolerance, solve
from pacpde.reference.solution import Reference, field_errors, relative_l2

__all__ = ["Reference", "default_tolerance", "field_errors", "relative_l2", "solve"]
