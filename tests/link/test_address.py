"""A broker's URL: what it means, and what is said about one that means nothing."""

from pathlib import Path

import pytest

from infusion.errors import ConfigError
from link.address import LinkOptions, link_settings
from link.interface import LinkSettings, Tls


def read_text(path: str) -> str:
    return Path(path).read_text()


def settings(url: str, options: LinkOptions | None = None) -> LinkSettings:
    return link_settings(url, "5", options or LinkOptions(), read_text)


@pytest.mark.parametrize(
    ("url", "host", "port", "user"),
    [
        ("mqtt://127.0.0.1:1883", "127.0.0.1", 1883, None),
        ("mqtt://broker", "broker", 1883, None),
        ("mqtt://broker/", "broker", 1883, None),
        ("mqtt://nurse@broker:99", "broker", 99, "nurse"),
        ("mqtt://a%40b@broker", "broker", 1883, "a@b"),
        ("mqtt://[::1]:1884", "::1", 1884, None),
        ("mqtts://broker", "broker", 8883, None),
    ],
)
def test_an_address_says_where_the_broker_is(
    url: str, host: str, port: int, user: str | None
) -> None:
    """Host, port by scheme, and user come out of the URL."""
    found = settings(url)
    assert (found.host, found.port, found.username) == (host, port, user)
    assert (found.tls is not None) == url.startswith("mqtts")


def test_the_password_comes_from_its_file(tmp_path: Path) -> None:
    """One line, with or without its line feed, and never shown."""
    file = tmp_path / "password"
    file.write_text("swordfish\n")
    found = settings("mqtt://nurse@broker", LinkOptions(password_file=str(file)))
    assert found.password == "swordfish"
    assert "swordfish" not in repr(found)


def test_pem_files_belong_to_tls() -> None:
    """They reach the TLS settings; without mqtts they would silently protect nothing."""
    files = LinkOptions(ca_file="ca.pem", cert_file="a.pem", key_file="a.key")
    assert settings("mqtts://broker", files).tls == Tls(
        ca_file="ca.pem", cert_file="a.pem", key_file="a.key"
    )
    with pytest.raises(ConfigError, match="certificates are for mqtts://"):
        settings("mqtt://broker", files)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("broker:1883", "the scheme is 'broker', not mqtt or mqtts"),
        ("http://broker", "the scheme is 'http'"),
        ("mqtt://", "it must be a host"),
        ("mqtt://broker/topic", "without a path"),
        ("mqtt://broker:0x1", "Port could not be cast"),
        ("mqtt://broker:99999", "Port out of range"),
        ("mqtt://:secret@broker", "a password needs a user name"),
    ],
)
def test_what_is_wrong_with_an_address_is_named(url: str, text: str) -> None:
    """The text shows the address, what is wrong and an example, and no password."""
    with pytest.raises(ConfigError, match=text) as caught:
        settings(url)
    assert "an example: mqtt://127.0.0.1:1883" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The path and the reason."""
    with pytest.raises(ConfigError, match=r"the password file .*none cannot be read"):
        settings("mqtt://nurse@broker", LinkOptions(password_file=str(tmp_path / "none")))
