"""config/ is found by name, and what is missing is named."""

import pytest

from host.resources import config_path
from infusion.errors import ConfigError


def test_a_file_and_the_folder_itself_are_found() -> None:
    assert config_path("mosquitto.conf").is_file()
    assert config_path(".").is_dir()


def test_a_missing_file_is_named_with_the_place_that_was_searched() -> None:
    with pytest.raises(ConfigError, match=r"config/scenarios/none\.toml was not found; looked for"):
        config_path("scenarios/none.toml")


def test_a_name_cannot_leave_the_folder() -> None:
    with pytest.raises(ConfigError, match="lies outside"):
        config_path("../pyproject.toml")
