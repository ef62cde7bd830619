"""pacpde: moves a trained solver of an ODE or PDE to changed coefficients."""

__version__ = "0.1.0"
