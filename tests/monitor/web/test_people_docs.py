"""docs/who-may.md says what the code does: its table, its commands, its settings."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import Struct

from dripwatch.up import LINK_MINUTES
from infusion.errors import ConfigError
from infusion.settings import environment_names, load_toml, resolve
from monitor.people import (
    ALL_RIGHTS,
    ALL_ROLES,
    FREE_BY_ADDRESS,
    FREE_BY_NAME,
    IDLE_MS,
    PASSWORD_MAX,
    PASSWORD_MIN,
    RESET_MINUTES,
    RIGHTS,
    SESSION_MS,
    TOKEN_DAYS_MAX,
    WAIT_MAX_MS,
)
from monitor.people_cli import group
from monitor.web.oidc import CALLBACK, OidcSection, check
from tests.monitor.web.house import PASSWORD

TEXT = (Path(__file__).parents[3] / "docs" / "who-may.md").read_text()


class Web(Struct, frozen=True):
    """Where the section is among the monitor's."""

    listen: str = ""
    oidc: OidcSection = OidcSection()


class Process(Struct, frozen=True):
    """As the monitor's settings have it."""

    web: Web = Web()


def test_the_table_of_rights_is_the_one_in_force() -> None:
    """Row by row."""
    head = "| role | " + " | ".join(ALL_RIGHTS) + " |"
    rows = [
        f"| {role} |" + "".join(" yes |" if right in RIGHTS[role] else " |" for right in ALL_RIGHTS)
        for role in ALL_ROLES
    ]
    assert "\n".join([head, "|" + "---|" * (len(ALL_RIGHTS) + 1), *rows]) in TEXT


def test_its_numbers_are_the_ones_in_force() -> None:
    """Where one changes, the sentence must."""
    words = {5: "five", 20: "twenty"}
    for said in (
        f"{PASSWORD_MIN} to {PASSWORD_MAX} characters",
        f"good for {LINK_MINUTES // 60} hours",
        f"ends {SESSION_MS // 3_600_000} hours after",
        f"After {words[FREE_BY_NAME]} wrong passwords for a name, or {words[FREE_BY_ADDRESS]} from",
        f"up to {WAIT_MAX_MS // 60_000} minutes",
        f"at most {TOKEN_DAYS_MAX} days",
        f"once, within {RESET_MINUTES} minutes,",
        f"https://your-host{CALLBACK}",
    ):
        assert said in TEXT
    assert IDLE_MS == 3_600_000
    assert "nobody used it for an hour" in TEXT


def test_its_commands_work(tmp_path: Path) -> None:
    """One after the other, on one file."""
    lines = re.findall(r"^dripwatch user (.*)$", TEXT, re.MULTILINE)
    assert {line.split()[0] for line in lines} == set(group.commands)
    for line in lines:
        arguments = [*shlex.split(line), "--store", str(tmp_path / "store.sqlite3")]
        if arguments[0] in ("add", "password"):
            arguments.append("--password-stdin")
        result = CliRunner().invoke(group, arguments, input=f"{PASSWORD}\n")
        assert result.exit_code == 0, (line, result.output)


def test_its_settings_are_read() -> None:
    """By the same reader as all others, which names what is wrong."""
    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)

    def read(text: str) -> OidcSection:
        file = load_toml(text.encode(), "monitor.toml")
        return resolve(
            Process, file=file, file_name="monitor.toml", environment={}, flags={}
        ).value.web.oidc

    section = read(block)
    check(section)
    assert section.roles == {"ward-nurses": "nurse", "pharmacy": "pharmacist"}
    with pytest.raises(ConfigError, match=r"\[web.oidc\] roles: .* does not fit"):
        read(block.replace('"nurse"', '"nurs"'))
    with pytest.raises(ConfigError, match=r"nearest is web\.oidc\.issuer"):
        read(block.replace("issuer", "isuer"))
    assert environment_names(Process)["DRIPWATCH_WEB_OIDC_ISSUER"] == "web.oidc.issuer"
