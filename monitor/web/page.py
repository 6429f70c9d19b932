"""The page of one monitor: people, hub and server, made together and ended together."""

from importlib.metadata import version
from pathlib import Path

from infusion.errors import ConfigError
from monitor.drug_library import read_library
from monitor.people import Role
from monitor.people_store import People
from monitor.proposal_store import ProposalStore
from monitor.web.api.office import Office
from monitor.web.app import create_app
from monitor.web.callers import GuardSettings
from monitor.web.hub import Hub
from monitor.web.oidc import Provider
from monitor.web.server import WebSection, WebServer, check
from monitor.web.sign_in import make_link
from monitor.web.ward import Ward


class Page:
    """Listens as soon as it is made, serves a ward in `run`. Raises ConfigError."""

    def __init__(
        self, section: WebSection, store: Path | None, *, or_any_port: bool = False
    ) -> None:
        self._section = section
        self._store = store
        self._hub: Hub | None = None
        self._people: People | None = None
        self._provider = Provider(section.oidc) if section.oidc.issuer else None
        self._server = WebServer(section)
        self._server.open(or_any_port=or_any_port)

    @property
    def url(self) -> str:
        """Where it is."""
        return self._server.url

    async def link(self, name: str, roles: list[Role], minutes: int) -> str:
        """A one-time link that signs somebody in without a password, once the page is served.

        Raises ConfigError where a user has that name, or where other machines reach the page.
        """
        if not check(self._section).is_loopback:
            raise ConfigError("web: only at this machine's own address are links made that sign in")
        await self._server.started.wait()
        assert self._people is not None, "it is served, so it has been made"
        return await make_link(self._people, self.url, name, roles, minutes)

    async def run(self, ward: Ward) -> None:
        """Serve until `stop`. Raises StoreError and ConfigError."""
        section = self._section
        settings = GuardSettings(
            hosts=frozenset(section.hosts),
            is_loopback=check(section).is_loopback,
            behind_proxy=section.behind_proxy,
            metrics_open=section.metrics_open,
        )
        async with People(self._store) as people, ProposalStore(self._store) as proposals:
            self._people = people
            hub = self._hub = Hub(ward, version("dripwatch"))
            office = Office(ward, proposals, library=read_library(), viewers=lambda: hub.viewers)
            try:
                app = create_app(
                    ward, people, hub, settings, provider=self._provider, office=office
                )
                await self._server.serve(app)
            finally:
                hub.close()

    def stop(self) -> None:
        """End `run`; streams that are open end first."""
        if self._hub is not None:
            self._hub.close()
        self._server.stop()
