"""The FitzHugh–Nagumo model of a nerve cell."""

from dataclasses import dataclass
from typing import Any

from pacpde.physics import Axis, Derivative, Evolution, coefficient
from pacpde.physics.elementary import Array


@dataclass(frozen=True)
class FitzHughNagumo(Evolution):
    """v' = v − v³/3 − w + I, w' = (v + a − bw)/τ on t∈[0,30] from (−1, −0.5).

    v is the voltage of a membrane, w its recovery, I a current; for I = 0.5 the cell fires.
    FitzHugh, Biophys. J. 1 (1961), doi:10.1016/S0006-3495(61)86902-6; Nagumo et al., Proc. IRE 50
    (1962), doi:10.1109/JRPROC.1962.288235.
    """

    name = "fitzhugh_nagumo"
    axes = (Axis("t", 0.0, 30.0),)
    fields = ("v", "w")
    scales = (2.0, 1.0)

    current: float = coefficient(0.5, lower=0.0, upper=2.0, meaning="current I")
    a: float = coefficient(0.7, lower=0.0, upper=1.5, meaning="excess of the voltage a")
    b: float = coefficient(0.8, lower=0.0, upper=1.5, meaning="decay of the recovery b")
    tau: float = coefficient(12.5, lower=2.0, upper=50.0, meaning="time of the recovery τ")

    def rhs(self, u: Any, d: Derivative) -> Any:
        v, w = u
        return v - v * v * v / 3 - w + self.current, (v + self.a - self.b * w) / self.tau

    def initial(self, *space: Array) -> Any:
        return -1.0, -0.5
