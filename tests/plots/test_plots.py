"""Pictures hold the numbers they are given, and say what they show."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from pacpde import plots
from pacpde.physics import Problem, families
from pacpde.problems import Burgers, Heat, Heat2D, Lorenz
from pacpde.reference import Reference, solve

STAGES = ("trained", "pruned", "allocated", "recalled", "unmasked")


@dataclass(frozen=True)
class Shifted:
    """Stands for a surrogate: a reference plus something known."""

    reference: Reference
    error: float

    def __call__(self, *coordinates: Any) -> np.ndarray:
        values = self.reference(*coordinates) + self.error
        return values[0] if len(values) == 1 else values


def found(problem: Problem, **errors: float) -> tuple[Reference, dict[str, Any]]:
    reference = solve(problem, tolerance=1e-6)
    return reference, {name: Shifted(reference, error) for name, error in errors.items()}


def test_pictures_without_a_time() -> None:
    """A curve over x and a plane over x and y, of values and errors that are known."""
    curve = plots.maps(*found(families.get("poisson_1d")(), pac=1e-3))
    values, distance = curve.axes
    assert distance.get_xlabel() == "x" and values.get_ylabel() == "u"
    np.testing.assert_allclose(distance.lines[0].get_ydata(), 1e-3, rtol=1e-6)
    plane = plots.maps(*found(families.get("poisson")(), pac=1e-3))
    panels = [ax for ax in plane.axes if ax.get_title().startswith(("Ref", "PAC"))]
    assert [ax.get_xlabel() for ax in panels] == ["x"] * 3 and panels[0].get_ylabel() == "y"
    error = np.asarray(panels[2].collections[0].get_array())
    np.testing.assert_allclose(error, 1e-3, rtol=1e-6)


def titles(figure: Figure) -> list[str]:
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


@pytest.mark.parametrize("problem", [Heat(), Burgers(nu=0.1)])
def test_maps_of_a_plane(problem: Problem) -> None:
    reference, surrogates = found(problem, pac=1e-2, warm_start=1e-4)
    figure = plots.maps(reference, surrogates)
    panels = [ax for ax in figure.axes if ax.get_title().startswith(("Ref", "PAC", "warm"))]
    assert len(panels) == 6
    meshes = [np.asarray(ax.collections[0].get_array()) for ax in panels]
    exact, predicted, error = meshes[:3]
    # the surrogate is the reference plus 1e-2, interpolated as exactly as the reference
    np.testing.assert_allclose(predicted - exact, 1e-2, atol=1e-6)
    np.testing.assert_allclose(error, 1e-2, atol=1e-6)
    np.testing.assert_array_equal(meshes[3], exact)
    scales = [ax.collections[0].norm for ax in (panels[2], panels[5])]
    assert (scales[0].vmin, scales[0].vmax) == (scales[1].vmin, scales[1].vmax)
    size = np.linalg.norm(exact)
    assert f"relative L2 {np.linalg.norm(error) / size:.1e}" in panels[2].get_title()
    assert [ax.get_xlabel() for ax in panels[3:]] == ["t"] * 3
    assert [ax.get_ylabel() for ax in panels[::3]] == ["x"] * 2
    assert str(problem) in figure.get_suptitle()


def test_colours_are_symmetric_only_where_the_field_changes_sign() -> None:
    for problem, symmetric in ((Heat(), False), (Burgers(nu=0.1), True)):
        figure = plots.maps(*found(problem, pac=1e-3))
        norm = figure.axes[0].collections[0].norm
        assert (norm.vmin == -norm.vmax) == symmetric


def test_maps_in_two_dimensions_show_the_end() -> None:
    reference, surrogates = found(Heat2D(alpha=0.1), pac=1e-3)
    figure = plots.maps(reference, surrogates)
    shown = np.asarray(figure.axes[0].collections[0].get_array())
    np.testing.assert_array_equal(shown.T, reference.fields["u"][-1])
    assert "t = 1" in figure.get_suptitle()
    assert [figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()] == ["x", "y"]


def test_an_ode_is_drawn_over_time_and_as_a_portrait() -> None:
    reference, surrogates = found(Lorenz(), pac=0.5, warm_start=0.25, scratch=0.1)
    figure = plots.maps(reference, surrogates)
    assert [ax.get_ylabel() for ax in figure.axes[:3]] == ["x", "y", "z"]
    assert len(figure.axes) == 4 + 3
    *predicted, exact = figure.axes[2].lines
    assert exact.get_linestyle() != "-"
    np.testing.assert_array_equal(exact.get_ydata(), reference.fields["z"])
    np.testing.assert_allclose(predicted[0].get_ydata() - exact.get_ydata(), 0.5, atol=1e-9)
    portrait = figure.axes[4]
    assert (portrait.get_xlabel(), portrait.get_ylabel()) == ("x", "z")
    np.testing.assert_array_equal(portrait.lines[1].get_xdata(), reference.fields["x"])
    distance = figure.axes[3].lines[0].get_ydata()
    np.testing.assert_allclose(distance, 0.5 * np.sqrt(3), rtol=1e-9)


HISTORIES = {
    "pac": [
        {"stage": "allocate", "seconds": 4.0, "step": 20, "held_out": 1.0},
        {"stage": "allocate", "seconds": 12.0, "step": 40, "held_out": 0.1},
        {"stage": "calibrate", "seconds": 13.0, "step": 60, "held_out": 0.1, "error": 5e-2},
        {"stage": "calibrate", "seconds": 16.0, "step": 80, "held_out": 0.1, "error": 5e-3},
    ],
    "warm_start": [
        {"stage": "calibrate", "seconds": 2.0, "step": 20, "held_out": 0.1, "error": 5e-4},
    ],
    "nothing": [],
}


def test_seconds_count_from_the_start_of_the_targets_fit() -> None:
    figure = plots.error_against_seconds(HISTORIES, zero_shot=0.3)
    (ax,) = figure.axes
    pac = ax.lines[0]
    np.testing.assert_array_equal(pac.get_xdata(), [1.0, 4.0])
    np.testing.assert_array_equal(pac.get_ydata(), [5e-2, 5e-3])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["PAC (after 12 s on the source)", "warm start", "source, untouched"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_a_legend_of_many_methods_is_short() -> None:
    """It says the seconds on the source once, and stands in columns."""
    many = {f"method_{k}": HISTORIES["pac"] for k in range(24)}
    figure = plots.error_against_seconds(many)
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == "method 0 + 12 s"
    assert legend.get_title().get_text() == "+ seconds: stages on the source before"
    figure.canvas.draw()
    box = legend.get_window_extent()
    assert box.height < 0.2 * figure.bbox.height and box.width < figure.bbox.width


def test_ticks_beside_axes_are_written_as_in_tables_and_apart() -> None:
    figure = plots.error_against_seconds({"pac": HISTORIES["pac"]})
    figure.canvas.draw()
    seconds, errors = ([label.get_text() for label in axis.get_ticklabels()]
                       for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis))  # fmt: skip
    assert {"1", "2"} <= set(seconds) and {"1e-02", "1e-01"} <= set(errors)


def test_thresholds_are_marked_where_they_are_first_met() -> None:
    figure = plots.error_against_seconds(HISTORIES, thresholds=(1e-2, 1e-3))
    marks = [line.get_xydata().tolist() for line in figure.axes[0].lines if line.get_ms() == 11]
    assert marks == [[[4.0, 5e-3]], [[2.0, 5e-4]], [[2.0, 5e-4]]]


def record(method: str, *errors: float | None, seed: int = 0) -> dict[str, Any]:
    return {
        "method": method, "seed": seed, "source_error": dict(zip(STAGES, errors, strict=True)),
    }  # fmt: skip


def test_source_error_goes_through_the_stages() -> None:
    found = [
        record("pac", 1e-4, 0.9, 1e-3, 1e-3, 0.2),
        record("warm_start", 1e-4, None, None, None, 0.3),
        record("pac", 2e-4, 0.8, 2e-3, 2e-3, 0.1, seed=1),
    ]
    figure = plots.source_error(found)
    (ax,) = figure.axes
    markers = [line for line in ax.lines if line.get_linestyle() == "None"]
    assert [line.get_ydata().tolist() for line in markers] == [
        [e for e in item["source_error"].values() if e is not None] for item in found
    ]
    dotted = [line.get_ydata().tolist() for line in ax.lines if line.get_linestyle() == ":"]
    assert dotted == [[1e-4, 0.3]]
    assert markers[0].get_color() == markers[2].get_color() != markers[1].get_color()
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["PAC", "warm start"]
    assert [label.get_text().split("\n")[0] for label in ax.get_xticklabels()] == list(STAGES)


def test_many_methods_stay_apart_from_each_other_and_from_the_next_stage() -> None:
    found = [record(f"method_{k}", 1e-4, 0.9, 1e-3, 1e-3, 0.2) for k in range(24)]
    figure = plots.source_error(found)
    (ax,) = figure.axes
    places = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "None"]
    assert len(set(places)) == 24 and max(map(abs, places)) < 0.5
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.contains(box.x0, box.y0) and figure.bbox.contains(box.x1, box.y1)
    assert box.y1 <= ax.get_window_extent().y0  # below the axes


def test_a_picture_is_saved_whole_and_changes_no_setting(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    made = plots.source_error([record("pac", 1, 1, 1, 1, 1)])
    made.set_size_inches(9.5, 5.6)
    plots.save(made, tmp_path / "new" / "a.png")
    pixels = imread(tmp_path / "new" / "a.png")
    assert pixels.shape[:2] == (728, 1235)  # 9.5 × 5.6 inches at 130 dots an inch
    assert 0.5 < pixels[..., :3].mean() < 1  # mostly paper, and some ink
    assert pixels[..., :3].min() < 0.2
    assert dict(matplotlib.rcParams) == before


def test_no_window_is_asked_for() -> None:
    figure = plots.error_against_seconds(HISTORIES)
    assert type(figure.canvas).__name__ == "FigureCanvasAgg"
