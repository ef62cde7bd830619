"""Reference solutions by scipy that certify their own error."""

from pacpde.reference.certificate import default_tolerance
from pacpde.reference.solution import Reference, field_errors, worst_field_error
from pacpde.reference.solvers import solve

__all__ = ["Reference", "default_tolerance", "field_errors", "solve", "worst_field_error"]
