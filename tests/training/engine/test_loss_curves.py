"""Short runs with recorded losses: no change of the code may change them."""

import pytest

from rpt.training.engine import pack as pack_module
from tests.training.runs import fitted, prepared

SHORT = ["task=rte", "data.shots=16", "trainer.max_steps=6"]
RESIDUAL = [0.02482, 0.00036, 0.00019, 0.04348, 0.00041, 0.00045]
LSTM = [0.02229, 0.41432, 0.38773, 0.13061, 0.08632, 0.09403]
VANILLA = [0.4305, 0.18297, 0.0055, 0.00139, 0.00115, 0.00598]
ENCODER = [0.78149, 0.55649, 0.76576, 0.50611, 0.44839, 0.22265]


def losses_of(backbone, folder, monkeypatch, *configs):
    """The loss of every step of each run, trained as one pack."""
    monkeypatch.setattr(pack_module, "READ_EVERY", 1)
    runs = [prepared(config, backbone, folder / str(i), evaluated=8) for i, config in enumerate(configs)]
    seen = [[] for _ in runs]
    for run, losses in zip(runs, seen, strict=True):
        run.track = lambda line, losses=losses: losses.append(line["loss"]) if "lr" in line else None
    fitted(backbone, *runs)
    return seen


@pytest.mark.parametrize("together", [1, 3])
def test_t5(configure, nano, tmp_path, monkeypatch, together):
    others = [["prompt=residual"], ["prompt=lstm", "lr=0.01"], ["prompt=vanilla", "seed=1", "prompt.length=5"]]
    configs = [configure(*SHORT, *overrides) for overrides in others[:together]]
    curves = losses_of(nano, tmp_path, monkeypatch, *configs)
    for curve, expected in zip(curves, [RESIDUAL, LSTM, VANILLA], strict=False):
        assert curve == pytest.approx(expected, rel=4e-3, abs=2e-5)  # rounding grows from step to step


def test_encoder(configure, nano_bert, tmp_path, monkeypatch):
    (curve,) = losses_of(nano_bert, tmp_path, monkeypatch, configure(*SHORT, "backbone=nano_bert"))
    assert curve == pytest.approx(ENCODER, rel=2e-3)
