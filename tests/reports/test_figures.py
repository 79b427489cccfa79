"""Figures: the same bytes each time, labelled axes, nothing for nothing."""

import io
import os
import subprocess
import sys

import pytest
from matplotlib import pyplot as plt
from PIL import Image

from rpt.reports import figures
from rpt.reports.figures import all_figures
from rpt.reports.paper import Paper

OTHERS = ("table1", "figure3", "figure6")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, kept for a look at their axes."""
    kept = []
    image_of = figures.image_of

    def kept_image_of(figure, kind):
        if figure not in kept:
            kept.append(figure)
        return image_of(figure, kind)

    monkeypatch.setattr(figures, "image_of", kept_image_of)
    return kept


@pytest.mark.parametrize("name", ["figure4", *(pytest.param(of, marks=pytest.mark.slow) for of in OTHERS)])
def test_labelled_legible_and_the_same_bytes_each_time(study, name, drawn):
    few = study(name, keep=lambda c: c.seed < 2)
    (plot,), (again,) = (all_figures(few, Paper(), svg=True) for _ in range(2))
    assert plot == again
    assert plot.name == ("table1-bars-mini" if name == "table1" else f"{name}-mini")
    assert plot.caption.startswith("MINIATURE") and b"<dc:date>" not in plot.svg
    image = Image.open(io.BytesIO(plot.png))
    assert image.width >= 1000 and image.height >= 500 and "Software" not in image.info
    for ax in drawn[0].axes:
        assert ax.get_ylabel().endswith(("(%)", "token)"))
        assert ax.get_title() or ax.get_xlabel()
    assert not plt.get_fignums()


def test_the_papers_curves_stand_only_at_the_papers_scale(study, drawn):
    keep = {"keep": lambda c: c.seed == 0}
    (real,), (miniature,) = (all_figures(study("figure4", scale, **keep), Paper()) for scale in ("paper", "mini"))
    labels = [[line.get_label() for line in figure.axes[0].lines] for figure in drawn]
    assert "paper (approx.)" in labels[0] and "paper (approx.)" not in labels[1]
    assert "approximate" in real.caption and "approximate" not in miniature.caption
    average = drawn[0].axes[-1]
    assert "paper (approx.)" not in [line.get_label() for line in average.lines]


def test_no_figure_without_a_record(study):
    assert all_figures(study("figure6", keep=lambda c: False), Paper()) == []


def test_a_figure_with_holes_is_drawn(study):
    (plot,) = all_figures(study("table1", keep=lambda c: c.task.name == "cb" and c.prompt.name == "mlp"), Paper())
    assert plot.png and plot.svg is None  # which is made on demand


def test_plotting_settings_of_the_user_change_nothing(study):
    few = study("figure4", keep=lambda c: c.seed == 0)
    plain = all_figures(few, Paper())
    with plt.rc_context({"text.usetex": True, "axes.facecolor": "black", "figure.figsize": (3, 3)}):
        assert all_figures(few, Paper()) == plain


def test_a_notebook_s_backend_is_not_looked_for(tmp_path):
    (tmp_path / "matplotlibrc").write_text("backend: TkAgg\ntext.usetex: True\ninteractive: True\n")
    places = {"MPLBACKEND": "module://no_such_package.backend_inline", "MATPLOTLIBRC": str(tmp_path)}
    code = "import rpt.reports.figures, matplotlib; print(matplotlib.get_backend())"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | places, capture_output=True, text=True)
    assert done.stdout.lower() == "agg\n", done
