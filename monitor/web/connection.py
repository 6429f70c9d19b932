"""One connection of the server, which tells its requests of its transport.

A stream that nobody takes from must be ended *now*: uvicorn would first wait until everything is
taken, which a viewer that has stopped reading never does. The transport is in the request's state
as `transport`, and only the stream uses it.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """uvicorn's own, with the transport in the state of its requests."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The connection is open."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
