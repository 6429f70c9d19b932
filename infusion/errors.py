"""The errors of Dripwatch. Each class says who is at fault; each message says what to do.

Programmer errors are assertions and never one of these.
"""


class DripwatchError(Exception):
    """Base of every error that Dripwatch raises on purpose; never raised itself."""


class ConfigError(DripwatchError):
    """The operator's input is wrong: a file, an environment variable or a flag."""


class MessageError(DripwatchError):
    """A peer published something that contract v1 does not allow.

    `kind` is a short, stable name to count by; `pump` is the pump that the *topic* names, where
    the topic could be read. Of an order `therapy` is whose it is, `version` which one it was, where
    that could be read (else 0), and `pump` the one that it names.
    """

    def __init__(
        self,
        kind: str,
        text: str,
        *,
        pump: str | None = None,
        therapy: str | None = None,
        version: int = 0,
    ) -> None:
        super().__init__(text)
        self.kind = kind
        self.pump = pump
        self.therapy = therapy
        self.version = version


class LinkError(DripwatchError):
    """The broker, or the network on the way to it, refused or failed."""


class StoreError(DripwatchError):
    """The monitor's store could not keep or give back what it must."""
