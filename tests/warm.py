"""Imported by the process of which tests fork commands: what Hydra prepares once, each fork has."""

from rpt.config import compose, to_config
from rpt.config.hydra_app import set_up

set_up()
to_config(compose("train", []))
