import json

import pytest

from cookline.errors import HostStateError
from cookline.host.resident.settings import Settings, load, parse


def test_the_settings_of_a_run_request():
    settings = parse(
        {
            "instance": "web1",
            "instance_id": "i-1",
            "stack_id": "s-1",
            "layers": ["l-1"],
            "metrics": {"period": 10, "namespace": "Shop"},
            "drift": {"interval": 60, "splay": 5, "watch": False},
            "report": {"endpoint": "https://metrics.example"},
            "spool": {"max_bytes": 1000},
        }
    )
    assert (settings.period, settings.namespace, settings.drift_interval, settings.watch) == (10, "Shop", 60, False)
    assert settings.publishes and settings.spool_bytes == 1000


def test_what_is_not_said_is_the_documented_default():
    assert parse({}) == Settings()
    assert (Settings().period, Settings().drift_interval, Settings().drift_splay, Settings().spool_bytes) == (
        60,
        1800,
        300,
        2**24,
    )
    assert not Settings().publishes


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"metrics": {"period": "often"}}), json.dumps({"drift": 3})])
def test_broken_settings_are_an_error_with_a_way_out(tmp_path, content):
    path = tmp_path / "agent.json"
    path.write_text(content)
    with pytest.raises(HostStateError) as caught:
        load(str(path))
    assert caught.value.hint


def test_missing_settings_are_an_error(tmp_path):
    with pytest.raises(HostStateError, match="cannot be read"):
        load(str(tmp_path / "agent.json"))
