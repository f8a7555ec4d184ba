"""Draw what bench_arrays.py found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"rbd": "#4053d3", "reflink": "#00996b", "qcow2": "#c45500"}
_GREY = "#6b6b6b"
_MARKERS = {"rbd": "o", "reflink": "s", "qcow2": "^"}
Line: TypeAlias = dict[int, float]
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "lines.linewidth": 1.8,
    "svg.fonttype": "path",
    # names of parts would differ from run to run
    "svg.hashsalt": "clonepolicy",
    "xtick.color": _GREY,
    "ytick.color": _GREY,
}


@attrs.define
class Figures:
    """What is drawn."""

    clones: Line = attrs.field(factory=dict)
    """Seconds of a create by cloning in Ceph, by GiB."""
    downloads: Line = attrs.field(factory=dict)
    """Seconds of importing the same image."""
    rates: dict[str, Line] = attrs.field(factory=dict)
    """Creates a second of each array, by how many are in flight."""

    @property
    def whole(self) -> bool:
        """Whether there is something to draw of every array."""
        return self.rates.keys() == _COLOURS.keys()


def draw(path: Path, figures: Figures) -> None:
    """Write an SVG that is the same for the same figures."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.4, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_sizes(left, figures)
        _draw_rates(right, figures)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw_sizes(axes: Axes, figures: Figures) -> None:
    axes.set_title("Ceph: seconds to make a volume of an image")
    _draw_line(axes, "import", figures.downloads, _GREY, "D")
    _draw_line(axes, "clone", figures.clones, _COLOURS["rbd"], "o")
    axes.set_xlabel("GiB, a 20th of it data")
    _scale(axes, [figures.downloads, figures.clones])


def _draw_rates(axes: Axes, figures: Figures) -> None:
    axes.set_title("Volumes made of one image in a second")
    for name, rates in figures.rates.items():
        _draw_line(axes, name, rates, _COLOURS[name], _MARKERS[name])
    axes.set_xlabel("creates in flight, a thread for each")
    _scale(axes, list(figures.rates.values()))


def _draw_line(
    axes: Axes, name: str, found: Line, colour: str, marker: str
) -> None:
    xs, ys = list(found), list(found.values())
    axes.plot(xs, ys, color=colour, marker=marker)
    # two lines come close to each other
    below = name == "rbd"
    for x, y in found.items():
        axes.annotate(
            f"{float(f'{y:.2g}'):g}",
            (x, y),
            xytext=(0, -7 if below else 6),
            textcoords="offset points",
            ha="center",
            va="top" if below else "bottom",
            color=colour,
        )
    axes.annotate(
        name,
        (xs[-1], ys[-1]),
        xytext=(18, -4 if below else 4),
        textcoords="offset points",
        va="center",
        weight="bold",
        color=colour,
    )


def _scale(axes: Axes, lines: list[Line]) -> None:
    """Use logarithms both ways, with plain numbers on them."""
    ys = [y for line in lines for y in line.values()]
    xs = list(lines[0])
    axes.set_yscale("log")
    axes.set_ylim(min(ys) / 2.5, max(ys) * 2.5)
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    axes.set_xscale("log", base=2)
    axes.set_xlim(xs[0] / 1.4, xs[-1] * 3)
    axes.set_xticks(xs, [f"{x}" for x in xs])
    axes.grid(axis="y", color="#e4e4e4")
