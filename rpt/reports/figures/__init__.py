"""The paper's figures. The images come out byte for byte the same."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.style import context

from rpt.reports.figures.grids import draw_along_axis, draw_bars, draw_by_epoch
from rpt.reports.figures.style import STYLE
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import said_of
from rpt.reports.layouts import BARS, BY_EPOCH, CURVES, file_name
from rpt.reports.paper import Paper
from rpt.reports.render import paragraphs

matplotlib.use("Agg")  # not what a notebook or the user's settings name

Draw = Callable[[GridResults, Paper], tuple[Figure, dict[str, Any]]]  # the figure and what its caption says
FIGURES: dict[str, tuple[str, Draw]] = {  # by experiment
    "table1": (BARS, draw_bars),
    "figure3": (BY_EPOCH, draw_by_epoch),
    **{curves.name: (curves.name, partial(draw_along_axis, curves)) for curves in CURVES},
}


@dataclass(frozen=True)
class Plot:
    """A figure as files. name: of the files, without ending. svg: None unless wanted."""

    name: str
    title: str
    caption: str
    png: bytes
    svg: bytes | None = None


def all_figures(results: GridResults, paper: Paper, svg: bool = False) -> list[Plot]:
    """The figures of an experiment with at least one record."""
    if results.runs.empty or results.experiment.name not in FIGURES:
        return []
    name, draw = FIGURES[results.experiment.name]
    scale, notes = results.experiment.scale, {name: said_of("backbone note", name) for name in results.backbones}
    with context(STYLE):
        figure, facts = draw(results, paper)
        if note := said_of("figure note", scale):
            figure.supxlabel(note, fontsize=8, color="#555555")
        images = [image_of(figure, "png"), image_of(figure, "svg") if svg else None]
    (caption,) = paragraphs("figure", scale=scale, notes=notes, **facts)
    return [Plot(file_name(name, scale), facts["title"], caption, *images)]


def image_of(figure: Figure, kind: str) -> bytes:
    """PNG or SVG without date and program, so that the same numbers give the same bytes."""
    unsaid = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    image = io.BytesIO()
    figure.savefig(image, format=kind, metadata=unsaid[kind])
    return image.getvalue()
