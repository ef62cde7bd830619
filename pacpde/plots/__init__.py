"""Pictures of records, histories and surrogates; they read and never train."""

from pacpde.plots.comparison import draw_all
from pacpde.plots.convergence import error_against_seconds
from pacpde.plots.solutions import maps
from pacpde.plots.source_error_by_stage import source_error
from pacpde.plots.style import save

__all__ = ["draw_all", "error_against_seconds", "maps", "save", "source_error"]
