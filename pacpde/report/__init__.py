"""One self-contained page of a study, made from its records and surrogates; nothing is fitted."""

from pacpde.report.page import write

__all__ = ["write"]
