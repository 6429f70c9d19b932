"""The broker as an operator names it: one URL, and files for what must stay secret."""

from collections.abc import Callable
from typing import Literal
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from infusion.errors import ConfigError
from link.interface import LinkSettings, Tls

DEFAULT_URL = "mqtt://127.0.0.1:1883"
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class LinkOptions(Struct, frozen=True, kw_only=True):
    """[link]: the files that belong to a broker's URL. The three PEM files are for `mqtts`."""

    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


def link_settings(
    url: str,
    mqtt: Literal["5", "3.1.1"],
    options: LinkOptions,
    read_text: Callable[[str], str],
) -> LinkSettings:
    """The settings of a link to the broker at `url`; the caller adds a client id and limits.

    `read_text` reads a file. Raises ConfigError that says what is wrong with the address.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _bad(url, str(error)) from None
    if parts.scheme not in _PORTS:
        raise _bad(url, f"the scheme is {parts.scheme!r}, not mqtt or mqtts")
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise _bad(url, "it must be a host, and a port if you like, without a path")
    password = unquote(parts.password) if parts.password else None
    if options.password_file is not None:
        password = _password(options.password_file, read_text)
    if password is not None and not parts.username:
        raise _bad(url, "a password needs a user name: mqtt://user@host")
    tls = None
    if parts.scheme == "mqtts":
        tls = Tls(ca_file=options.ca_file, cert_file=options.cert_file, key_file=options.key_file)
    elif options.ca_file or options.cert_file or options.key_file:
        raise _bad(url, "certificates are for mqtts://")
    return LinkSettings(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        username=unquote(parts.username) if parts.username else None,
        password=password,
        tls=tls,
        mqtt=mqtt,
    )


def _password(path: str, read_text: Callable[[str], str]) -> str:
    try:
        return read_text(path).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"broker: the password file {path} cannot be read: {error}") from None


def _bad(url: str, why: str) -> ConfigError:
    shown = url if "@" not in url else f"{url.split(':', 1)[0]}://***@{url.rsplit('@', 1)[1]}"
    return ConfigError(f"broker {shown!r}: {why}; an example: {DEFAULT_URL}")
