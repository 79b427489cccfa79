"""The paper's figures. The images come out byte for byte the same."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import matplotlib
from matplotlib.figure import Figure
from matplotlib.style import context

from rpt.reports.figures.grids import Drawn, draw_along_axis, draw_bars, draw_by_epoch
from rpt.reports.figures.style import STYLE
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import LABELS
from rpt.reports.layouts import BARS, BY_EPOCH, CURVES, file_name
from rpt.reports.paper import Paper
from rpt.reports.render import paragraphs

matplotlib.use("Agg")  # not what a notebook or the user's settings name

Draw = Callable[[GridResults, Paper], Drawn]  # gives the figure and what its caption says
FIGURES: dict[str, tuple[str, Draw]] = {  # by experiment, with their names
    "table1": (BARS, draw_bars),
    "figure3": (BY_EPOCH, draw_by_epoch),
    **{curves.name: (curves.name, partial(draw_along_axis, curves)) for curves in CURVES},
}


@dataclass(frozen=True)
class Plot:
    """A figure as files. name: of the files, without ending. images: by ending, "png" and, on demand, "svg"."""

    name: str
    title: str
    caption: str
    images: dict[str, bytes]


def all_figures(results: GridResults, paper: Paper, svg: bool = False) -> list[Plot]:
    """Draw the figures of an experiment; none if it has no record."""
    if results.runs.empty or results.experiment.name not in FIGURES:
        return []
    name, draw = FIGURES[results.experiment.name]
    with context(STYLE):
        figure, facts = draw(results, paper)
        if note := LABELS["figure note"].get(results.scale):
            figure.supxlabel(note, fontsize=8, color="#555555")
        images = {kind: image_of(figure, kind) for kind in ("png", *["svg"] * svg)}
    (caption,) = paragraphs("figure", scale=results.scale, backbones=results.backbones, **facts)
    return [Plot(file_name(name, results.scale), str(facts["title"]), caption, images)]


def image_of(figure: Figure, kind: str) -> bytes:
    """PNG or SVG without date and program, so that the same numbers give the same bytes."""
    unsaid = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    image = io.BytesIO()
    figure.savefig(image, format=kind, metadata=unsaid[kind])
    return image.getvalue()
