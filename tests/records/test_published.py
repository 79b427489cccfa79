"""The run records in this repository keep their identities: the same command finds them."""

import hashlib
import json

import yaml

from rpt.config import settings
from tests.conftest import ROOT

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def test_identities_of_published_runs_are_what_their_configurations_say():
    results = list((ROOT / "results").rglob("result.json"))
    for path in results:
        result = json.loads(path.read_text())
        config = yaml.load(
            (path.parent / "config.yaml").read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
        identity = settings(config) | {
            "rows": result["data"]["fingerprint"],
            "weights": result["backbone_fingerprint"],
            "precision": result["precision"],
        }
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
        assert result["id"].endswith(digest), path
    assert len(results) == 965
