"""The broker as an operator names it: one URL, and files for what must stay secret."""

from collections.abc import Callable
from typing import Literal
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from infusion.errors import ConfigError
from link.interface import LinkSettings, Tls

DEFAULT_URL = "mqtt://127.0.0.1:1883"
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class BrokerAddress(Struct, frozen=True, kw_only=True):
    """How to reach a broker: `mqtt://[user@]host[:port]`, or `mqtts://` over TLS.

    The password is read from `password_file`; the three PEM files belong to `mqtts`.
    """

    url: str = DEFAULT_URL
    mqtt: Literal["5", "3.1.1"] = "5"
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


def link_settings(address: BrokerAddress, read_text: Callable[[str], str]) -> LinkSettings:
    """The settings of a link to this broker; the caller adds a client id and limits.

    `read_text` reads a file. Raises ConfigError that says what is wrong with the address.
    """
    try:
        parts = urlsplit(address.url)
        port = parts.port
    except ValueError as error:
        raise _bad(address.url, str(error)) from None
    if parts.scheme not in _PORTS:
        raise _bad(address.url, f"the scheme is {parts.scheme!r}, not mqtt or mqtts")
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise _bad(address.url, "it must be a host, and a port if you like, without a path")
    password = unquote(parts.password) if parts.password else None
    if address.password_file is not None:
        password = _password(address.password_file, read_text)
    if password is not None and not parts.username:
        raise _bad(address.url, "a password needs a user name: mqtt://user@host")
    tls = None
    if parts.scheme == "mqtts":
        tls = Tls(ca_file=address.ca_file, cert_file=address.cert_file, key_file=address.key_file)
    elif address.ca_file or address.cert_file or address.key_file:
        raise _bad(address.url, "certificates are for mqtts://")
    return LinkSettings(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        username=unquote(parts.username) if parts.username else None,
        password=password,
        tls=tls,
        mqtt=address.mqtt,
    )


def _password(path: str, read_text: Callable[[str], str]) -> str:
    try:
        return read_text(path).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"broker: the password file {path} cannot be read: {error}") from None


def _bad(url: str, why: str) -> ConfigError:
    shown = url if "@" not in url else f"{url.split(':', 1)[0]}://***@{url.rsplit('@', 1)[1]}"
    return ConfigError(f"broker {shown!r}: {why}; an example: {DEFAULT_URL}")
