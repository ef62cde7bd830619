"""Figures of a study, from its groups of rows."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.figure import Figure
from scipy.stats import studentized_range

from pacpde.networks.surrogate import Surrogate
from pacpde.plots.numbers import FAILED, scientific, two_digits
from pacpde.plots.style import (
    Look,
    beside,
    ink,
    legend_below,
    logarithmic,
    looks,
    new_figure,
    readable,
)
from pacpde.studies.groups import Group, coefficient_text, variant_names, varying_names
from pacpde.studies.statistics import ErrorSummary, error_summary, ranked, ranks

FEW = 8  # methods whose bars can be told apart
SOURCE, TARGET = "#0072B2", "#E69F00"  # whose weights


def error_against_distance(groups: Sequence[Group], family: str) -> Figure:
    """Median target error, with quartiles, over the distance between the solutions.

    Transfers of one distance have a line a method instead, the smallest error first.
    """
    of_family = [g for g in groups if g.family == family and g.distance is not None]
    of_family.sort(key=lambda group: group.distance or 0)
    style = looks(variant_names(groups))
    if len({group.distance for group in of_family}) == 1:
        return _error_by_method(of_family, style)
    many = len(style) > FEW
    lines = {name: line for name in style if len(line := _line(of_family, name))}
    order = sorted(lines, key=lambda name: -lines[name][-1, 2]) if many else list(lines)
    with new_figure(*((11.0, 8.0) if many else (8.0, 5.0))) as fig:
        ax = fig.subplots()
        for name in order:
            colour, marker, dash = style[name]
            x, low, y, high = lines[name].T
            # bars of many methods would lie on each other
            bars = None if many else [y - low, np.where(np.isfinite(high), high - y, 0)]
            ax.errorbar(x, y, yerr=bars, color=colour, marker=marker, ls=dash, lw=1.5, ms=6,
                        capsize=3, label=readable(name))  # fmt: skip
        logarithmic(ax.yaxis, error=True)
        ax.set_xlabel("distance between the solutions, ‖u_T − u_S‖ / ‖u_T‖")
        ax.set_ylabel("relative L2 error on the target")
        ax.set_title(f"{family}: median over seeds{'' if many else ', quartiles as bars'}")
        ax.grid(alpha=0.3, which="major")
        legend_below(fig, "from the largest error at the right to the smallest" if many else None)
        return fig


def _line(groups: Sequence[Group], name: str) -> np.ndarray:
    """Distance, low, median and high of a method, of each transfer that it has a median of."""
    rows = [(g.distance, list(g.rows[name].values())) for g in groups if name in g.rows]
    points = [(distance, _quartiles(error_summary(some))) for distance, some in rows]
    return np.array([(x, *values) for x, values in points if values], float).reshape(-1, 4)


def _error_by_method(groups: Sequence[Group], style: Mapping[str, Look]) -> Figure:
    """Median target error of every method with its quartiles, a mark a transfer."""
    found = {name: _line(groups, name) for name in style if any(name in g.rows for g in groups)}
    shown = [name for name in found if len(found[name])]
    order = sorted(shown, key=lambda name: np.log(found[name][:, 2]).mean())
    order += [name for name in found if name not in shown]  # they failed, or are ungraded
    names = [beside(name) for name in order]
    with new_figure(8.5, 1.6 + 0.2 * sum(name.count("\n") + 1.4 for name in names)) as fig:
        ax = fig.subplots()
        for place, name in enumerate(order):
            colour, marker, _ = style[name]
            for _, low, median, high in found[name]:
                ax.plot([low, high if math.isfinite(high) else median], [place, place],
                        color=colour, lw=2)  # fmt: skip
                ax.plot(median, place, marker=marker, color=colour, ms=8, ls="none")
            if name not in shown:
                rows = [row for g in groups if name in g.rows for row in g.rows[name].values()]
                ax.annotate(
                    "ungraded" if error_summary(rows).median is None else FAILED, (0.99, place),
                    ha="right", va="center", xycoords=("axes fraction", "data"), fontsize=9,
                )  # fmt: skip
        logarithmic(ax.xaxis, error=True)
        ax.set_yticks(range(len(order)), names)
        ax.set_ylim(len(order) - 0.5, -0.5)
        ax.set_xlabel("relative L2 error on the target")
        of = groups[0].name if len(groups) == 1 else f"{groups[0].family}, {len(groups)} transfers"
        ax.set_title(f"{of}: median over seeds, quartiles as bars")
        ax.grid(alpha=0.3)
        return fig


def gain_over_scratch(groups: Sequence[Group], scratch: str = "scratch") -> Figure:
    """Error from scratch over error by transfer, pair by pair: above 1 transfer won."""
    shown = [group for group in groups if scratch in group.rows]
    names = [name for name in variant_names(shown) if name != scratch]
    compared = [g for g in shown if any(len(g.pairs(name, scratch)[0]) for name in names)]
    families = list(dict.fromkeys(group.family for group in compared or shown))
    shown_names = [beside(name) for name in names]
    lines = sum(name.count("\n") + 1.5 for name in shown_names)
    with new_figure(max(7.6, 2.4 + 3.2 * len(families)), 1.9 + 0.2 * lines) as fig:
        panels = fig.subplots(1, len(families), sharey=True, squeeze=False)[0]
        style = looks(variant_names(groups))
        for ax, family in zip(panels, families, strict=True):
            for place, name in enumerate(names):
                pairs = [group.pairs(name, scratch) for group in shown if group.family == family]
                # 0 and infinite, where one of the two failed
                gain = np.concatenate([scratch_errors / errors for errors, scratch_errors in pairs])
                colour, marker, _ = style[name]
                known = gain[np.isfinite(gain) & (gain > 0)]
                ax.plot(known, np.full(len(known), place), marker=marker, color=colour, ls="none",
                        ms=4, alpha=0.5)  # fmt: skip
                middle = np.median(gain) if len(gain) else 0.0
                if np.isfinite(middle) and middle > 0:
                    ax.plot(middle, place, marker=marker, color=colour, ms=8, mec=ink(),
                            ls="none", label=readable(name))  # fmt: skip
            ax.axvline(1, color=ink(), lw=1)
            logarithmic(ax.xaxis)
            ax.set_title(family)
            ax.grid(alpha=0.3)
        panels[0].set_yticks(range(len(names)), shown_names)
        panels[0].set_ylim(len(names) - 0.5, -0.5)
        fig.supxlabel(
            f"error of {readable(scratch)} / error by transfer (right of the line transfer wins)"
        )
        fig.suptitle(f"Gain over {readable(scratch)}; small marks are pairs, large ones medians")
        return fig


def transfer_matrix(groups: Sequence[Group], variant: str, family: str) -> Figure:
    """Median target error of one variant, source by target; all variants have the same colours."""
    of_family = [group for group in groups if group.family == family]
    varying = varying_names(end for group in of_family for end in (group.source, group.target))
    medians = {
        tuple(_coefficients(end, varying) for end in (group.source, group.target)):
            error_summary(list(group.rows[variant].values())).median
        for group in of_family if variant in group.rows
    }  # fmt: skip
    sources, targets = (sorted(set(ends)) for ends in zip(*medians, strict=True))
    values = np.full((len(sources), len(targets)), np.nan)
    for (source, target), median in medians.items():
        if median is not None:
            values[sources.index(source), targets.index(target)] = median
    with new_figure(max(6.0, 2.6 + 1.15 * len(targets)), max(3.2, 1.8 + 0.7 * len(sources))) as fig:
        ax = fig.subplots()
        image = ax.imshow(
            np.where(np.isfinite(values), values, np.nan), norm=_norm(of_family), cmap="cividis",
            aspect="auto",
        )  # fmt: skip
        for (row, column), value in np.ndenumerate(values):
            if not np.isnan(value):
                paper = to_rgb(ax.get_facecolor())
                if math.isfinite(value):
                    paper = tuple(np.asarray(image.to_rgba(value), float)[:3])
                ax.text(column, row, scientific(value), ha="center", va="center", fontsize=9,
                        color="white" if _luminance(paper) < 0.18 else "black")  # fmt: skip
        ax.set_xticks(range(len(targets)), targets, rotation=30, ha="right")
        ax.set_yticks(range(len(sources)), sources)
        ax.set_xlabel("target")
        ax.set_ylabel("source")
        ax.set_title(f"{family}, {readable(variant)}: median error on the target")
        bar = fig.colorbar(image, label="relative L2 error")
        logarithmic(bar.ax.yaxis, error=True)
        return fig


def _norm(groups: Sequence[Group]) -> LogNorm:
    """From the smallest to the largest median error of all variants."""
    found = [error_summary(list(rows.values())).median for g in groups for rows in g.rows.values()]
    known = [median for median in found if median is not None and math.isfinite(median)] or [1.0]
    low, high = min(known), max(known)
    return LogNorm(low, high if high > low else 10 * low)


def _luminance(colour: Sequence[float]) -> float:
    """Relative luminance as WCAG 2 has it; black and white stand out alike at 0.18."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def critical_difference(groups: Sequence[Group], alpha: float = 0.05) -> Figure:
    """Mean ranks over sources; a bar joins variants that Nemenyi's test does not tell apart.

    Targets of one source are not independent, so that a source counts once. One source allows no
    test.

    Demšar (2006), "Statistical comparisons of classifiers over multiple data sets", section 3.2.2.
    """
    mean, sources = ranks(groups), len(ranked(groups))
    shown = [beside(name) for name in mean]
    with new_figure(8.5, 1.6 + 0.2 * sum(name.count("\n") + 1.7 for name in shown)) as fig:
        ax = fig.subplots()
        count = len(mean)
        gap = math.inf
        if count > 1 and sources > 1:
            q = float(studentized_range.ppf(1 - alpha, count, np.inf)) / math.sqrt(2)
            gap = q * math.sqrt(count * (count + 1) / (6 * sources))
        style = looks(variant_names(groups))
        for k, (name, rank) in enumerate(mean.items()):
            colour, marker, _ = style[name]
            ax.plot(rank, k, marker=marker, color=colour, ms=9, ls="none")
            if math.isfinite(gap):
                ax.plot([rank, rank + min(gap, count)], [k, k], color=colour, lw=2, alpha=0.35)
            ax.annotate(two_digits(rank), (rank, k), xytext=(0, 7), textcoords="offset points",
                        ha="center", fontsize=9)  # fmt: skip
        ax.set_yticks(range(count), shown)
        ax.set_ylim(count - 0.4, -0.8)
        ax.set_xlim(0.8, count + 0.2)
        ax.set_xlabel("mean rank of the error over targets (1 is best)")
        title = "Ranks by one source: no test"
        if math.isfinite(gap):
            title = (
                f"Ranks over {sources} sources; what begins within a bar (critical difference "
                f"{two_digits(gap)})\nis not told apart from its owner at {alpha:.0%} (Nemenyi)"
            )
        ax.set_title(title)
        ax.grid(alpha=0.3, axis="x")
        return fig


def masks(surrogate: Surrogate, solver: str = "source") -> Figure:
    """Figure of the weights that belong to the source; the last column of a layer is its biases."""
    mask = surrogate.retained[solver].mask.cpu()
    layers = surrogate.network.layers
    with new_figure(2.4 * len(layers), 3.6) as fig:
        panels = fig.subplots(1, len(layers), squeeze=False)[0]
        for number, (ax, layer) in enumerate(zip(panels, layers, strict=True)):
            kept = np.concatenate(
                [
                    mask[layer.weights].reshape(layer.outputs, layer.inputs).numpy(),
                    mask[layer.biases].numpy()[:, None],
                ],
                axis=1,
            )
            _mask(ax, kept)
            ax.set_title(f"layer {number + 1}: {kept.mean():.0%}", fontsize=11)
        panels[0].set_ylabel("neuron")
        fig.supxlabel("input, the bias last")
        fig.suptitle(f"Kept for the {solver} (dark), given to the target (light)")
        return fig


def _mask(ax: Axes, kept: np.ndarray) -> None:
    from matplotlib.colors import ListedColormap

    ax.imshow(kept, cmap=ListedColormap([TARGET, SOURCE]), vmin=0, vmax=1, aspect="auto",
              interpolation="nearest")  # fmt: skip
    ax.set_xticks([])
    ax.set_yticks([])


def _quartiles(s: ErrorSummary) -> tuple[float, float, float] | None:
    """Low, median and high, where the median is a number."""
    if s.low is None or s.median is None or s.high is None or math.isinf(s.median):
        return None
    return s.low, s.median, s.high


def _coefficients(values: Mapping[str, float], names: Collection[str]) -> str:
    """Some of the coefficients as text."""
    return coefficient_text({name: value for name, value in values.items() if name in names})
