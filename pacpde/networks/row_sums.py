"""Which rows of a Jacobian are added together in a sketch of it, and with which signs."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class RowSums:
    """A sparse S with one ±1 in every column, so that E[SᵀS] = I: (SJ)ᵀ(SJ) is near JᵀJ.

    Clarkson & Woodruff (2013), arXiv 1207.6365, section 2; here every sum has equally many rows
    but for one.

    Attributes:
        points: of the rows in every sum, [n_components, sums, rows].
        signs: of these rows: 1 or −1, and 0 where a sum has fewer rows, [n_components, sums, rows].
        places: of these sums among all, [n_components, sums].
    """

    points: torch.Tensor
    signs: torch.Tensor
    places: torch.Tensor

    @classmethod
    def random(
        cls, n_components: int, points: int, places: torch.Tensor, generator: torch.Generator
    ) -> "RowSums":
        """All rows of these points over sums of these places, on the CPU.

        Args:
            places: [sums]; no more than there are points.
        """
        spare = -points % len(places)
        chosen: list[torch.Tensor] = []
        signs: list[torch.Tensor] = []
        for _ in range(n_components):
            order = torch.randperm(points, generator=generator, device="cpu")
            sign = 2 * torch.randint(0, 2, (points,), generator=generator, device="cpu") - 1
            for entries, into in ((order, chosen), (sign, signs)):
                padded = torch.cat([entries, entries.new_zeros(spare)])
                into.append(padded.reshape(-1, len(places)).mT)
        return cls(torch.stack(chosen), torch.stack(signs), places.expand(n_components, -1))

    @property
    def rows(self) -> int:
        """Rows in a sum."""
        return self.points.shape[-1]

    def components(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Points, signs and places of every component."""
        return zip(self.points, self.signs, self.places, strict=True)

    def to(self, like: torch.Tensor) -> "RowSums":
        """On the device of a tensor, with signs of its precision."""
        device = like.device
        return RowSums(self.points.to(device), self.signs.to(like), self.places.to(device))

    def by_row(self, points: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The place and the sign of every row, [n_components, points]."""
        place = self.points.new_empty(len(self.points), points)
        sign = self.signs.new_empty(len(self.points), points)
        for component, used in enumerate(self.signs != 0):
            own = self.points[component][used]
            place[component, own] = self.places[component, :, None].expand_as(used)[used]
            sign[component, own] = self.signs[component][used]
        return place, sign
