"""Azure's paths, against those that were recorded and documented."""

import pytest

from chatvault.providers.azure import VERSION, deployment_path, path_style, version_query, versioned


@pytest.mark.parametrize(
    ("path", "model", "target"),
    [
        (b"/chat/completions", "gpt-4o-mini", b"/deployments/gpt-4o-mini/chat/completions"),
        (b"/embeddings", "te/st 1", b"/deployments/te%2Fst%201/embeddings"),
        (b"/audio/transcriptions", "whisper", b"/deployments/whisper/audio/transcriptions"),
        (b"/responses", "gpt-4o", b"/responses"),
        (b"/moderations", "m", b"/moderations"),
        (b"/files", None, b"/files"),
        (b"/chat/completions", None, b"/chat/completions"),
    ],
)
def test_the_deployment_stands_in_the_path(path: bytes, model: str | None, target: bytes) -> None:
    assert deployment_path(path, model) == target


@pytest.mark.parametrize("path", [b"/deployments/b/chat/completions", b"//deployments/b/embeddings"])
def test_a_path_reaches_no_other_deployment_than_the_model_that_was_checked(path: bytes) -> None:
    assert deployment_path(path, "a") == b"/deployments/a" + path


@pytest.mark.parametrize(
    ("query", "whole"),
    [
        (b"", b"?api-version=2024-10-21"),
        (b"?", b"?api-version=2024-10-21"),
        (b"?a=1&b=2", b"?a=1&b=2&api-version=2024-10-21"),
        (b"?api-version=2020-01-01&a=1&API%2dversion=x", b"?a=1&api-version=2024-10-21"),
    ],
)
def test_the_configured_version_holds(query: bytes, whole: bytes) -> None:
    assert versioned(query, b"api-version=2024-10-21") == whole


@pytest.mark.parametrize(
    ("said", "style", "query"),
    [
        (None, None, ""),
        ("v1", None, ""),
        ("preview", None, "api-version=preview"),
        ("2024-10-21", "azure-deployments", "api-version=2024-10-21"),
        ("2025-04-01-preview", "azure-deployments", "api-version=2025-04-01-preview"),
    ],
)
def test_a_date_asks_for_deployment_paths(said: str | None, style: str | None, query: str) -> None:
    assert (path_style(said), version_query(said)) == (style, query)
    assert said is None or VERSION.fullmatch(said)


@pytest.mark.parametrize("said", ["", "1", "2024", "2024-10-21&x=1", "v2"])
def test_what_is_no_version(said: str) -> None:
    assert not VERSION.fullmatch(said)
