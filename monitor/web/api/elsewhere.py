"""The operations whose routes are other modules': described here, for the one document of all.

A test holds this table against the routes of the application.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from monitor.people_tables import User
from monitor.web import password_reset, sign_in
from monitor.web.health import Health
from monitor.web.operations import PREFIX, Operation
from monitor.web.rows import Beat, Patch, Snapshot

EVENTS = "text/event-stream"


class StreamQuery(Struct, frozen=True):
    """What a viewer wants to be told of."""

    kinds: Annotated[
        Literal["all", "alerts"], Meta(description="everything, or alerts without pumps")
    ] = "all"


_STREAM = """\
Everything as it stands, then what changes, as Server-Sent Events.

`event: snapshot` comes first (Snapshot as JSON), then `event: patch` (Patch) with whole rows of
pumps and whole open lists that changed, and `event: beat` (Beat) each second. `id` is the number of
the patch: with `Last-Event-ID` only what was missed is told, if it is still known. No beat for 3 s
means that all that is shown is old."""

_ABOUT_ONESELF = (
    Operation(
        method="POST",
        path=f"{PREFIX}/session",
        called="sign_in",
        about="Sign in with name and password: the answer sets the session's cookie.",
        right=None,
        body=sign_in.Credentials,
        status=204,
        problems=("wrong-password", "too-many-attempts", "not-signed-in", "unknown-host"),
    ),
    Operation(
        method="DELETE",
        path=f"{PREFIX}/session",
        called="sign_out",
        about="Sign out: this session is over.",
        right="oneself",
        status=204,
    ),
    Operation(
        method="GET",
        path=f"{PREFIX}/me",
        called="show_me",
        about="Who asks, and what they may do now.",
        right="oneself",
        answer=sign_in.Me,
    ),
    Operation(
        method="POST",
        path=f"{PREFIX}/me/password",
        called="change_password",
        about="Change one's own password; every other session ends. Not for tokens.",
        right="oneself",
        body=sign_in.NewPassword,
        status=204,
        problems=("wrong-old-password", "refused", "too-many-attempts"),
    ),
    Operation(
        method="GET",
        path=f"{PREFIX}/tokens",
        called="list_tokens",
        about="One's own tokens that are not over, oldest first, without their secrets.",
        right="oneself",
        answer=sign_in.TokenList,
    ),
    Operation(
        method="POST",
        path=f"{PREFIX}/tokens",
        called="issue_token",
        about="Issue a token for oneself; its text is shown this once. Not for tokens.",
        right="oneself",
        body=sign_in.NewToken,
        answer=sign_in.IssuedToken,
        status=201,
        problems=("refused",),
    ),
    Operation(
        method="DELETE",
        path=f"{PREFIX}/tokens/{{id}}",
        called="revoke_token",
        about="Revoke one of one's own tokens. Not for tokens.",
        right="oneself",
        status=204,
        problems=("unknown-token",),
    ),
)
_PEOPLE = (
    Operation(
        method="GET",
        path=f"{PREFIX}/people",
        called="list_people",
        about="All users, by name.",
        right="people",
        answer=sign_in.UserList,
    ),
    Operation(
        method="POST",
        path=f"{PREFIX}/people",
        called="add_person",
        about="Add a user with a password. Not for tokens.",
        right="people",
        body=sign_in.NewUser,
        answer=User,
        status=201,
        problems=("refused",),
    ),
    Operation(
        method="POST",
        path=f"{PREFIX}/people/{{name}}/disable",
        called="disable_person",
        about="Disable a user, whose sessions and tokens are over by that.",
        right="people",
        answer=User,
        problems=("unknown-person", "refused"),
    ),
    Operation(
        method="POST",
        path=f"{PREFIX}/people/{{name}}/enable",
        called="enable_person",
        about="Let a user sign in again.",
        right="people",
        answer=User,
        problems=("unknown-person", "refused"),
    ),
)
_RESET = (
    Operation(
        method="POST",
        path=f"{PREFIX}/people/{{name}}/reset",
        called="reset_password",
        about="End a user's password and sessions, and make a link that sets a new one, once. Not"
        " for tokens.",
        right="people",
        answer=password_reset.ResetLink,
        status=201,
        problems=("unknown-person", "refused"),
    ),
)
_MACHINE = (
    Operation(
        method="GET",
        path=f"{PREFIX}/stream",
        called="stream",
        about=_STREAM,
        query=StreamQuery,
        answer=str,
        answer_type=EVENTS,
        mentions=(Snapshot, Patch, Beat),
        problems=("busy",),
    ),
    Operation(
        method="GET",
        path="/metrics",
        called="metrics",
        about="Counts and times for Prometheus; open to all with --metrics-open.",
        right="metrics",
        answer=str,
        answer_type="text/plain",
    ),
    Operation(
        method="GET",
        path="/health/live",
        called="health_live",
        about="Whether the process turns.",
        right=None,
        answer=Health,
        problems=("unknown-host", "not-signed-in"),
    ),
    Operation(
        method="GET",
        path="/health/ready",
        called="health_ready",
        about="Whether anybody should rely on the alerts; 503 with reasons while nobody should.",
        right=None,
        answer=Health,
        also=503,
        problems=("unknown-host", "not-signed-in"),
    ),
)
OPERATIONS = (*_MACHINE, *_ABOUT_ONESELF, *_PEOPLE, *_RESET)
