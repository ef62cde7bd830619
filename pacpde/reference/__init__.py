"""Reference solutions by scipy that certify their own error."""

from pacpde.reference.certificate import default_tolerance, solve
from pacpde.reference.solution import Reference, field_errors, worst_field_error

__all__ = ["Reference", "default_tolerance", "field_errors", "solve", "worst_field_error"]
