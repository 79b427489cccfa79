"""Two checkouts train by turns, and their best rates are compared."""

import sys

from scripts import compare_checkouts


def test_each_checkout_goes_first_in_turn_and_the_best_rates_count(tmp_path, monkeypatch, capsys):
    rates, order = {compare_checkouts.HERE: [100.0, 50.0], tmp_path: [40.0, 80.0]}, []

    def measure(checkout, overrides):
        assert overrides == ["task=cb"]
        order.append(checkout)
        return rates[checkout].pop(0)

    monkeypatch.setattr(compare_checkouts, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["compare_checkouts.py", str(tmp_path), "task=cb", "--rounds", "2"])
    compare_checkouts.main()
    assert order[:2] == order[:1:-1]
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]] == ["2.500", "0.625", "1.250"]
