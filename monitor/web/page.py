"""The page of one monitor: people, hub and server, made together and ended together."""

from pathlib import Path

from starlette.applications import Starlette

from monitor.web.server import WebSection, WebServer
from monitor.web.ward import Ward


class Page:
    """Listens as soon as it is made, serves a ward in `run`. Raises ConfigError."""

    def __init__(
        self, section: WebSection, store: Path | None, *, or_any_port: bool = False
    ) -> None:
        self._section = section
        self._store = store
        self._server = WebServer(section)
        self._server.open(or_any_port=or_any_port)

    @property
    def url(self) -> str:
        """Where it is."""
        return self._server.url

    async def run(self, ward: Ward) -> None:
        """Serve until `stop`."""
        await self._server.serve(Starlette())

    def stop(self) -> None:
        """End `run`; streams that are open end first."""
        self._server.stop()
