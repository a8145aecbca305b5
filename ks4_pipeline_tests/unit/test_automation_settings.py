"""The settings of the automation: their defaults, where they come from, what is refused and how that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from ks4_pipeline.errors import ConfigurationError
from ks4_pipeline.settings import Settings, load_settings


def configured(tmp_path: Path, text: str, **environment: str) -> Settings:
    (tmp_path / "ks4.toml").write_text(text)
    return load_settings({"KS4_DATA_DIR": str(tmp_path), **environment})


def test_by_default_nothing_starts_by_itself_and_nobody_is_told(tmp_path: Path) -> None:
    found = configured(tmp_path, "")
    assert (found.sensors, found.poll_minutes, found.max_attempts, found.alert_webhook) == ("stopped", 15, 3, None)


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    text = (
        'sensors = "stopped"\npoll_minutes = 0.5\nmax_attempts = 7\nalert_webhook = "https://chat.example/hook?key=1"'
    )
    found = configured(tmp_path, text, KS4_SENSORS="running", KS4_ALERT_WEBHOOK="http://localhost:1/x")
    assert (found.sensors, found.alert_webhook) == ("running", "http://localhost:1/x")
    assert (found.poll_minutes, found.max_attempts) == (0.5, 7)
    assert configured(tmp_path, text).alert_webhook == "https://chat.example/hook?key=1"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('sensors = "on"', "sensors"),
        ("sensors = true", "sensors"),
        ("poll_minutes = 0", "poll_minutes"),
        ("poll_minutes = -1", "poll_minutes"),
        ("poll_minutes = nan", "poll_minutes"),
        ("poll_minutes = inf", "poll_minutes"),
        ("poll_minutes = 1441", "poll_minutes"),
        ('poll_minutes = "often"', "poll_minutes"),
        ("max_attempts = 0", "max_attempts"),
        ("max_attempts = 2.5", "max_attempts"),
        ('alert_webhook = "chat.example/hook"', "alert_webhook"),
        ('alert_webhook = "ftp://chat.example/hook"', "alert_webhook"),
        ('alert_webhook = "https://"', "alert_webhook"),
        ('alert_webhook = "https://chat.example:port/secret"', "alert_webhook"),
    ],
)
def test_a_bad_value_is_an_error_that_names_its_key(tmp_path: Path, line: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"ks4\.toml: {key}: "):
        configured(tmp_path, line)


def test_a_bad_value_of_the_environment_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^KS4_SENSORS: "):
        configured(tmp_path, "", KS4_SENSORS="maybe")


def test_the_webhook_is_a_secret_that_no_message_repeats(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        configured(tmp_path, "", KS4_ALERT_WEBHOOK="chat.example/tok3n")
    assert "tok3n" not in str(raised.value)
    assert "tok3n" not in repr(configured(tmp_path, "", KS4_ALERT_WEBHOOK="https://chat.example/tok3n"))
