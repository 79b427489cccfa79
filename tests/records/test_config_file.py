"""config.yaml read block by block: the same as read whole."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rpt.config.yaml_files import dump_yaml
from rpt.records.config_file import parse_config

KEYS = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5))
def test_it_is_what_yaml_reads(config):
    text = dump_yaml(config)
    assert parse_config(text) == yaml.safe_load(text) == config


@pytest.mark.parametrize(
    "text", ["a: &x [1]\nb: *x\n", "", "- 1\n- 2\n", "word\n", "a: 1\na: 2\n", "a: |\n  b: 1\n  c\nd: 2\n"]
)
def test_what_we_did_not_write_is_read_whole(text):
    assert parse_config(text) == yaml.safe_load(text)


def test_no_two_runs_share_a_value():
    first, second = parse_config("a: {b: []}\n"), parse_config("a: {b: []}\n")
    first["a"]["b"].append(1)
    assert second == {"a": {"b": []}}


def test_what_is_no_yaml_is_refused():
    with pytest.raises(yaml.YAMLError):
        parse_config("a: [1\n")
