"""Pictures of a study hold the numbers of its rows."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from pacpde.networks.ansatz import PhysicsAnsatz
from pacpde.networks.mlp import MLP
from pacpde.networks.surrogate import RetainedSolver, Surrogate
from pacpde.plots import error_against_seconds, source_error, studies
from pacpde.plots.numbers import two_digits
from pacpde.plots.style import styled
from pacpde.problems import Heat
from pacpde.studies.groups import Group, group_rows
from tests.rows import row


@pytest.fixture
def found() -> list[Group]:
    rows = []
    for alpha in (0.2, 0.3):
        for seed in range(3):
            where = {"target": {"alpha": alpha}, "distance": 0.4 - alpha}
            rows += [
                row("scratch", seed, 1e-3 * (1 + seed), **where),
                row("pac", seed, 1e-4 * (1 + seed), **where),
                row("last_layer", seed, None if alpha == 0.2 else 1e-2, **where),
            ]
    return group_rows(rows)


def test_error_against_distance(found: list[Group]) -> None:
    (ax,) = studies.error_against_distance(found, "heat").axes
    drawn = {bars.get_label(): bars.lines[0].get_xydata() for bars in ax.containers}
    np.testing.assert_allclose(drawn["PAC"], [[0.1, 2e-4], [0.2, 2e-4]])
    np.testing.assert_allclose(drawn["last layer"], [[0.1, 1e-2]])  # the failed one has no place


def test_gain_over_scratch(found: list[Group]) -> None:
    (ax,) = studies.gain_over_scratch(found).axes
    gains = [line.get_xdata() for line in ax.lines if line.get_label() == "PAC"]
    assert gains[0] == pytest.approx([10.0])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["PAC", "last layer"]
    (pairs,) = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 6]
    assert pairs == pytest.approx(np.full(6, 10.0))


def test_transfer_matrix(found: list[Group]) -> None:
    ax = studies.transfer_matrix(found, "last_layer", "heat").axes[0]
    assert [text.get_text() for text in ax.texts] == ["failed", "1.0e-02"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["alpha=0.2", "alpha=0.3"]


def test_matrices_of_a_family_have_the_same_colours_and_legible_numbers(
    found: list[Group],
) -> None:
    figures = [studies.transfer_matrix(found, name, "heat") for name in ("scratch", "pac")]
    limits = [figure.axes[0].images[0].get_clim() for figure in figures]
    assert limits[0] == limits[1] == pytest.approx((2e-4, 1e-2))
    for figure in figures:
        ax = figure.axes[0]
        for text in ax.texts:
            value = ax.images[0].get_array()[
                int(text.get_position()[1]), int(text.get_position()[0])
            ]  # type: ignore[index]
            paper, ink = luminance(ax.images[0].to_rgba(value)), luminance(text.get_color())
            assert (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) > 4.5
        figure.canvas.draw()
        ticks = [label.get_text() for label in figure.axes[1].get_yticklabels()]
        assert "1e-03" in ticks and not any("10^" in tick for tick in ticks)


def luminance(colour: Any) -> float:
    c = np.array(to_rgb(colour))
    return float(
        np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    )


def test_critical_difference(found: list[Group]) -> None:
    (ax,) = studies.critical_difference(found).axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["PAC", "scratch", "last layer"]
    assert [text.get_text() for text in ax.texts] == ["1.0", "2.0", "3.0"]
    # Demšar's table 5: q of 3 classifiers at 0.05 is 2.343; by the three sources
    assert f"difference {two_digits(2.343 * np.sqrt(3 * 4 / (6 * 3)))})" in ax.get_title()
    one = group_rows([row(name, 0, 1e-3 * k) for k, name in enumerate(("a", "b"), 1)])
    (ax,) = studies.critical_difference(one).axes
    assert "no test" in ax.get_title()


def test_lines_of_many_methods_differ() -> None:
    names = [f"method {k}" for k in range(24)]
    ends = [{"target": {"alpha": alpha}, "distance": 0.4 - alpha} for alpha in (0.2, 0.3)]
    rows = [row(name, 0, 1e-3 * (k + 1), **end) for end in ends for k, name in enumerate(names)]
    figure = studies.error_against_distance(group_rows(rows), "heat")
    (ax,) = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names[::-1]
    lines = [bars.lines[0] for bars in ax.containers]
    shown = {(line.get_color(), line.get_marker(), str(line._dash_pattern)) for line in lines}  # type: ignore[attr-defined]
    assert len(shown) == 24
    by_dash = {(line.get_color(), str(line._dash_pattern)) for line in lines}  # type: ignore[attr-defined]
    assert len(by_dash) == 24  # also where a marker is hidden


def test_one_transfer_has_a_line_a_method_the_best_first() -> None:
    errors = {"bss": [2e-3, 4e-3], "pac": [1e-4, 1e-4], "ewc": [math.inf, 1.0], "lwf": [None, None]}
    rows = [
        row(name, seed, error) for name, two in errors.items() for seed, error in enumerate(two)
    ]
    for one in rows:
        if one["variant"] == "lwf":
            one["reference_error"] = None  # no reference grades it
    (ax,) = studies.error_against_distance(group_rows(rows), "heat").axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["PAC", "BSS", "EWC", "LwF"]
    marks = [line.get_xydata().tolist() for line in ax.lines if line.get_ms() == 8]
    np.testing.assert_allclose(marks, [[[1e-4, 0]], [[math.sqrt(8e-6), 1]]])
    assert [text.get_text() for text in ax.texts] == ["failed", "ungraded"]


def test_transfers_of_one_distance_share_the_lines_of_their_methods() -> None:
    rows = [
        row(name, 0, error, labels=labels)
        for labels, errors in ((10, {"bss": 1e-3, "pac": 1e-2}), (25, {"bss": 4e-3, "pac": 1e-5}))
        for name, error in errors.items()
    ]
    (ax,) = studies.error_against_distance(group_rows(rows), "heat").axes
    marks = sorted(tuple(line.get_xydata()[0]) for line in ax.lines if line.get_ms() == 8)
    np.testing.assert_allclose(marks, [(1e-5, 0), (1e-3, 1), (4e-3, 1), (1e-2, 0)])


def test_families_without_a_pair_have_no_panel() -> None:
    alone = {"family": "lorenz", "source": {"rho": 15.0}, "target": {"rho": 16.0}}
    rows = [row("scratch", 0, 1e-3), row("pac", 0, 1e-4), row("pac", 0, 1e-4, **alone)]
    rows.append(row("scratch", 0, None, **alone, reference_error=None))
    shown = studies.gain_over_scratch(group_rows(rows)).axes
    assert [ax.get_title() for ax in shown] == ["heat"]


def test_dark_paper_has_light_ink(found: list[Group]) -> None:
    with styled(dark=True):
        made = studies.gain_over_scratch(found)
    (ax,) = made.axes
    assert max(to_rgb(ax.get_facecolor())) < 0.2
    for colour in (ax.xaxis.label.get_color(), ax.title.get_color(), ax.lines[-1].get_color()):
        assert min(to_rgb(colour)) > 0.8


def test_masks() -> None:
    network = MLP(2, 1, width=3, depth=1)
    mask = torch.zeros(network.size, dtype=torch.bool)
    mask[0] = mask[-1] = True
    ansatz = PhysicsAnsatz(Heat())
    surrogate = Surrogate(
        network, ansatz, torch.zeros(network.size), {"source": RetainedSolver(ansatz, mask)}
    )
    first, last = studies.masks(surrogate).axes
    np.testing.assert_array_equal(
        np.asarray(first.images[0].get_array()), [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    )
    np.testing.assert_array_equal(np.asarray(last.images[0].get_array()), [[0, 0, 0, 1]])


LONG = "pac (sparsity=0.4, steps=300, grow=20, recall=false, walk='adaptive_only')"


@pytest.mark.parametrize("names", [["pac (sparsity=0.4)", "pac (sparsity=0.6)"], [LONG, "scratch"]])
@pytest.mark.parametrize("base", ["warm_start", "warm_start (optimiser=levenberg_marquardt)"])
@pytest.mark.parametrize("dark", [False, True])
def test_titles_and_labels_lie_inside_the_picture(base: str, names: list[str], dark: bool) -> None:
    rows = [row(name, seed, 1e-3 * (1 + seed)) for name in (base, *names) for seed in range(2)]
    few = group_rows(rows)
    history = [{"seconds": 1.0 + k, "error": 0.1**k, "stage": "fit"} for k in range(3)]
    way = "lorenz(sigma=10, rho=28, beta=2.66667) to lorenz(sigma=10, rho=15, beta=2.66667), " * 2
    with styled(dark):
        for made in (
            studies.gain_over_scratch(few, base),
            studies.transfer_matrix(few, names[0], "heat"),
            studies.critical_difference(few),
            studies.error_against_distance(few, "heat"),
            error_against_seconds({names[0]: history}, title=way),
            source_error([{"method": names[0], "source_error": {"trained": 0.1}}], title=way),
        ):
            made.draw_without_rendering()
            width, height = made.bbox.width, made.bbox.height
            ticks = [label for ax in made.axes for label in (*_ticks(ax.xaxis), *_ticks(ax.yaxis))]
            labels = [
                part for ax in made.axes for part in (ax.title, ax.xaxis.label, ax.yaxis.label)
            ]
            legends = [text for legend in made.legends for text in legend.get_texts()]
            for text in (*made.texts, *labels, *ticks, *legends):
                box = text.get_window_extent()
                inside = min(box.x0, box.y0) > -1 and box.x1 < width + 1 and box.y1 < height + 1
                assert inside or not text.get_text(), (text.get_text(), box, width, height)


def _ticks(axis: Axis) -> list[Text]:
    """Labels of the ticks that are drawn."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
