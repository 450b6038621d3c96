"""A gateway of one's own starts, says why it does not, and leaves nothing."""

import os

import pytest

from chatvault.bench.own_gateway import OwnGateway, environ_without_providers
from chatvault.config.runtime import runtime_places
from chatvault.core.errors import OperatorError


def test_it_serves_and_leaves_nothing() -> None:
    with OwnGateway(["--fake"]) as gateway:
        assert gateway.url.startswith("http://127.0.0.1:")
        assert gateway.worker_pid() != gateway.pid
        assert gateway.token("t")["token"]
        places = runtime_places(gateway.data_dir)
        assert any(place.exists() for place in places)
    assert gateway.end() == 0
    assert not gateway.home.exists()
    assert not any(place.exists() for place in places)
    assert gateway.worker_pid() is None
    assert gateway.log() == ""


def test_it_says_why_it_does_not_start() -> None:
    gateway = OwnGateway(config="server: {prot: 1}\n")
    with pytest.raises(OperatorError, match="port"), gateway:
        pass
    assert not gateway.home.exists()


def test_it_inherits_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("CHATVAULT_SERVER_PORT", "4000")
    monkeypatch.setenv("MANAGEMENT_TOKEN", "secret")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    environ = environ_without_providers()
    assert not {"OPENAI_API_KEY", "CHATVAULT_SERVER_PORT", "MANAGEMENT_TOKEN", "http_proxy"} & environ.keys()
    assert environ["PATH"] == os.environ["PATH"]
