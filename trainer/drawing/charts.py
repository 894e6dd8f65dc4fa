"""The report's charts as inline SVG: curves over epochs and a bar per class."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.records.history import Row
from utils.metric import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
LEAST_SPAN = 0.1
"""Of a score's axis."""
PANEL_IN = (3.7, 2.8)
"""Width and height of one of several charts. A page scales a chart to its own width, a phone's too."""
ROWS_IN = 5.6
"""Width of a chart with a row for each class: its names can be read at a phone's width."""
FONT = "DejaVu Sans"
EAST_ASIAN = {
    "NotoSansCJK-Regular": "Noto Sans CJK JP",  # the first font in the file, which has Hangul too
    "NotoSansKR": "Noto Sans KR",
    "NanumGothic": "NanumGothic",
    "malgun": "Malgun Gothic",
    "AppleSDGothicNeo": "Apple SD Gothic Neo",
}
"""Fonts with Hangul, Chinese and Japanese letters, by the names of their files."""
SERIES = ("#2563eb", "#ea580c", "#059669", "#9333ea", "#64748b")


def curves(history: Sequence[Row], metric: Metric) -> str:
    """Draw loss, score and learning rate over epochs, or over optimizer steps if they are counted, side by side."""
    figures, (loss, score, rate) = _panels(3)
    _lines(loss, history, {"train_loss": "training", "valid_loss": "validation"}, "Loss")
    loss.set_ylim(bottom=0.0)
    _lines(score, history, {metric.name: "validation"}, f"{metric.label}, native size")
    _widen(score, LEAST_SPAN)
    rates = {name: name.removeprefix("lr_") for name in history[0] if name.startswith("lr_")}
    _lines(rate, history, _without_twins(history, rates), "Learning rate")
    return _side_by_side(figures)


def curves_of_checkpoints(found: Mapping[str, Any]) -> str:
    """Draw each number of a run's networks over optimizer steps, with its interval; empty with fewer than two steps.

    `found` are the values of `checkpoints.json`.
    """
    rows = [row for row in found["checkpoints"] if row["step"] is not None and not row["same_as"]]
    if len(rows) < 2:
        return ""
    figures, axes_of_numbers = _panels(len(found["columns"]))
    for (name, label), axes in zip(found["columns"].items(), axes_of_numbers, strict=True):
        _network_curve(axes, found, rows, name)
        axes.set_title(label, loc="left", fontsize=10, color=INK)
        axes.set_xlabel("optimizer steps", color=MUTED, fontsize=8)
    axes_of_numbers[0].legend(frameon=False, fontsize=8)
    return _side_by_side(figures)


def _network_curve(axes: Axes, found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], name: str) -> None:
    """Draw one number of networks over their steps, by the other protocol too, and mark the best network."""
    from matplotlib.ticker import MaxNLocator

    _interval(axes, rows, "scores", name, SERIES[0], "native size")
    if found["protocol"] and name in found["protocol"]["numbers"]:
        _interval(axes, rows, "other", name, SERIES[-1], found["protocol"]["name"])
    for row in rows:
        if row["name"] == found["best_here"]:
            place = row["step"], row["scores"][name]["mean"]
            label = f"best {found['columns'][found['metric']]}"
            axes.plot(*place, "o", color=SERIES[1], markersize=6, zorder=4, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.get_ylim()[1] < LEAST_SPAN:
        axes.set_ylim(bottom=0.0)  # an error
    else:
        _widen(axes, LEAST_SPAN)


def _interval(axes: Axes, rows: Sequence[Mapping[str, Any]], kind: str, name: str, colour: str, label: str) -> None:
    """Draw means as a line and their intervals as an area."""
    steps, its = [row["step"] for row in rows], [row[kind][name] for row in rows]
    mean, low, high = ([each[part] for each in its] for part in ("mean", "low", "high"))
    axes.plot(steps, mean, color=colour, label=label, linewidth=1.8, marker="o", markersize=2.5)
    axes.fill_between(steps, low, high, color=colour, alpha=0.12, linewidth=0)


def _widen(axes: Axes, least: float) -> None:
    """Show at least a span of `least` on the y axis, so that noise does not look like progress."""
    low, high = axes.get_ylim()
    missing = max(0.0, least - (high - low)) / 2
    axes.set_ylim(low - missing, high + missing)


def class_bars(per_class: Mapping[str, float], groups: Mapping[str, Sequence[str]], label: str) -> str:
    """A horizontal bar per class in the order of classes, coloured by group, all from 0."""
    return _svg(_class_bars(per_class, groups, label))


def class_bars_png(per_class: Mapping[str, float], groups: Mapping[str, Sequence[str]], label: str) -> bytes:
    """Draw the same as a PNG, for programs that cannot show SVG."""
    import matplotlib

    file = io.BytesIO()
    with matplotlib.rc_context({"font.family": _families([*per_class, *groups])}), _without_glyph_warnings():
        _class_bars(per_class, groups, label).savefig(file, format="png", dpi=120, metadata={"Software": None})
    return file.getvalue()


def _families(names: Iterable[str]) -> list[str]:
    """Return the font of the charts, and for names that it cannot write those installed that have Hangul.

    Fonts are registered again, because matplotlib does not notice those installed after its first start.
    """
    from matplotlib.font_manager import findSystemFonts, fontManager

    if all(name.isascii() for name in names):
        return [FONT]
    for path in findSystemFonts():
        if Path(path).name.startswith(tuple(EAST_ASIAN)):
            fontManager.addfont(path)
    installed = {font.name for font in fontManager.ttflist}
    return [FONT, *(name for name in EAST_ASIAN.values() if name in installed)]


@contextmanager
def _without_glyph_warnings() -> Iterator[None]:
    """Ignore matplotlib's warnings about letters of class names that no font has."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        yield


def _class_bars(per_class: Mapping[str, float], groups: Mapping[str, Sequence[str]], label: str) -> Figure:
    names, values = list(per_class), list(per_class.values())
    figure, axes = _figure(ROWS_IN, 0.17 * len(names) + 0.9)
    colours = _colour_of(names, groups)
    axes.barh(names, values, color=[colours[name] for name in names], height=0.72)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel(label, color=MUTED, fontsize=8)
    axes.grid(axis="y", visible=False)
    if len(groups) > 1:
        _name_colours(axes, {name: colours[members[0]] for name, members in groups.items()})
    for place, value in enumerate(values):
        axes.text(value, place, f" {value:.3f}", va="center", fontsize=7, color=INK)
    return figure


def _name_colours(axes: Axes, colours: Mapping[str, str]) -> None:
    """Write above the axes what each colour stands for."""
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
    axes.legend(handles=handles, frameon=False, fontsize=8, ncols=len(handles), loc="lower left", bbox_to_anchor=(0, 1))


def class_dots(per_class: Mapping[str, Mapping[str, Any]], strata: Sequence[str], metric: Metric) -> str:
    """Draw a line per class: its mean (`Metric.mean_name`) with its spread (`sd`), and a dot per stratum."""
    names, rows = list(per_class), list(per_class.values())
    figure, axes = _figure(ROWS_IN, 0.18 * len(names) + 1.1)
    for stratum, colour in zip(strata, SERIES, strict=False):
        known = [(row[stratum], place) for place, row in enumerate(rows) if row[stratum] is not None]
        if known:
            values, places = zip(*known, strict=True)
            axes.scatter(values, places, color=colour, s=26, label=stratum, zorder=3)
    means = [row[metric.mean_name] for row in rows]
    spreads = [row["sd"] or 0.0 for row in rows]
    axes.errorbar(means, names, xerr=spreads, fmt="|", color=INK, markersize=9, label="all ± folds", zorder=2)
    axes.set_ylim(len(names) - 0.4, -0.6)
    drawn = [*means, *(row[stratum] for row in rows for stratum in strata if row[stratum] is not None)]
    axes.set_xlim(_axis_start(drawn), 1.0)
    axes.set_xlabel(metric.label, color=MUTED, fontsize=8)
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(strata) + 1)
    return _svg(figure)


def trial_dots(
    trials: Sequence[Mapping[str, Any]], keys: Sequence[str], log_keys: Sequence[str], metric: Metric
) -> str:
    """Draw the score of a search's trials over the value of each key; hollow if the trial was stopped early."""
    from matplotlib.ticker import MaxNLocator

    figures, axes_of_keys = _panels(len(keys))
    for key, axes in zip(keys, axes_of_keys, strict=True):
        as_numbers = all(_is_number(row["settings"].get(key, 0)) for row in trials)
        for state, filled in (("pruned", False), ("done", True)):
            rows = [row for row in trials if row["state"] == state and key in row["settings"]]
            places = [row["settings"][key] if as_numbers else _short(row["settings"][key]) for row in rows]
            colour = SERIES[0] if filled else "none"
            axes.scatter(places, [row[metric.name] for row in rows], s=26, color=colour, edgecolors=SERIES[0])
        if key in log_keys:
            axes.set_xscale("log")
        elif all(isinstance(row["settings"].get(key, 0), int) for row in trials):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(key, loc="left", fontsize=10, color=INK)
    axes_of_keys[0].set_ylabel(metric.label, color=MUTED, fontsize=8)
    return _side_by_side(figures)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _short(value: Any) -> str:
    """A choice as the label of a tick."""
    text = str(value)
    return text if len(text) <= 18 else f"{text[:17]}…"


def _panels(count: int) -> tuple[list[Figure], list[Axes]]:
    """Make figures that stand side by side on a wide page, and below each other on a narrow one."""
    figures, axes = zip(*(_figure(*PANEL_IN) for _ in range(count)), strict=True)
    return list(figures), list(axes)


def _side_by_side(figures: Sequence[Figure]) -> str:
    return f'<div class="panels">{"".join(map(_svg, figures))}</div>'


def _figure(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure, axes


def _lines(axes: Axes, history: Sequence[Row], series: Mapping[str, str], title: str) -> None:
    """One line per column of the history; epochs without a value are skipped."""
    from matplotlib.ticker import MaxNLocator

    unit = "step" if "step" in history[0] else "epoch"
    for (column, label), colour in zip(series.items(), SERIES * len(series), strict=False):
        points = [(int(row[unit]), float(row[column])) for row in history if row.get(column)]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, label=label, linewidth=1.8, marker="o", markersize=2.5)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(unit, color=MUTED, fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    places = [int(row[unit]) for row in history]
    margin = 0.5 if unit == "epoch" else 0.02 * max(places)
    axes.set_xlim(min(places) - margin, max(places) + margin)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=8)


def _without_twins(history: Sequence[Row], series: Mapping[str, str]) -> dict[str, str]:
    """Columns that are equal in every epoch are drawn once, under their joint names."""
    joint: dict[tuple[str, ...], list[str]] = {}
    for column in series:
        joint.setdefault(tuple(row.get(column, "") for row in history), []).append(column)
    return {columns[0]: ", ".join(series[column] for column in columns) for columns in joint.values()}


def _colour_of(names: Sequence[str], groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    colours = {name: colour for colour, members in zip(SERIES, groups.values(), strict=False) for name in members}
    return {name: colours.get(name, SERIES[0]) for name in names}


def _axis_start(values: Sequence[float]) -> float:
    """The tenth below the shortest bar, so that differences among long bars can be seen."""
    return max(0.0, int(min(values) * 10 - 0.5) / 10)


def _svg(figure: Figure) -> str:
    """The figure as an `<svg>` element; text stays text, and equal figures give equal bytes."""
    import matplotlib

    text = io.StringIO()
    fonts: Any = {"svg.fonttype": "none", "svg.hashsalt": "carpus", "font.family": "sans-serif"}
    with matplotlib.rc_context(fonts), _without_glyph_warnings():
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
