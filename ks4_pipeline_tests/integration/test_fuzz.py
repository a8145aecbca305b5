"""Ten thousand spoilt inputs, half of them the same in each run, half of them new; and the fuzzer sees what it must."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import polars as pl
import pytest

from ks4_pipeline import observations
from ks4_pipeline.ees.models import Meta
from ks4_pipeline_tests.fuzz import Fuzzer

INPUTS = 5_000
JSON = ("data set", "versions", "version", "changes", "meta", "query")


@pytest.fixture(scope="module")
def fuzzer() -> Iterator[Fuzzer]:
    with Fuzzer() as made:
        yield made


@pytest.mark.parametrize("seed", ["ks4", "fresh"])
def test_every_input_is_refused_in_our_words_or_read_right(
    fuzzer: Fuzzer, seed: str, record_property: Callable[[str, object], None]
) -> None:
    played = fuzzer.play(secrets.token_hex(4) if seed == "fresh" else seed, range(INPUTS))
    record_property("fuzz", str(played).splitlines()[-1])
    assert not played.failures, played
    taken = {kind for (kind, end), count in played.ends.items() if end == "taken" and count >= INPUTS / 500}
    assert taken >= {"csv", *JSON}, played  # else nothing was compared


def test_a_wrong_cell_is_seen(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    read = observations._number

    def spoilt(text: pl.Expr) -> pl.Expr:
        return pl.when(text != "17.3").then(read(text)).otherwise(pl.lit(17.0))

    monkeypatch.setattr(observations, "_number", spoilt)
    played = fuzzer.play("ks4", range(200))
    assert any("17.0" in failure.why and failure.kind == "csv" for failure in played.failures)


def test_an_error_of_no_family_is_seen(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("unforeseen")

    monkeypatch.setattr(observations, "assign", broken)
    played = fuzzer.play("ks4", range(100))
    assert any("KeyError: 'unforeseen'" in failure.why for failure in played.failures)


def test_a_member_that_was_read_as_another_is_seen(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Meta.model_validate_json

    def spoilt(body: bytes, **more: bool) -> Meta:
        meta = read(body, **more)
        return meta.model_copy(update={"filters": tuple(reversed(meta.filters)), "time_periods": ()})

    monkeypatch.setattr(Meta, "model_validate_json", spoilt)
    played = fuzzer.play("ks4", range(200))
    assert any(failure.kind == "meta" and "timePeriods" in failure.why for failure in played.failures)
