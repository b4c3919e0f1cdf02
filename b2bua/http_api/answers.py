"""What is answered, described for the OpenAPI document and checked by tests against what is really sent.

Nothing is converted through these models while serving: the program's own JSON goes out as it is.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

Time = str | None
"""`2026-01-01T00:00:00.000Z`, or null when it has not happened."""


Data = dict[str, str | int | float | bool | None]
"""Plain values by name."""


class Answer(BaseModel):
    """Closed: a field that is not described here is a defect."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Error(Answer):
    """What went wrong."""

    code: str
    """A word for programs; `docs/api.md` lists them."""
    message: str
    """For people. Never quotes what was sent."""
    field: str | None
    """Where in the request: `auth.password`, `route[1]`, `Idempotency-Key`; null for the request as a whole."""


class ErrorAnswer(Answer):
    """Every error has this shape."""

    error: Error


class ProblemsAnswer(ErrorAnswer):
    """An error that may come from the configuration."""

    problems: list[str] = []
    """Every problem with file, line and column; secrets are never shown. Missing where there is none."""


class Status(Answer):
    """The process answers."""

    status: str = Field(examples=["ok"])


class Draining(Answer):
    """The process will end."""

    calls: int
    """Calls that run."""
    seconds: float
    """How long they may, from the beginning of the drain."""


class StoreStatus(Answer):
    """How the store does; the counters are since the start."""

    kind: str = Field(examples=["sqlite"])
    """sqlite, redis or disabled."""
    available: bool
    waiting: int
    """Writes that wait for it."""
    written: int
    lost: int
    """Writes that will never be done."""
    failures: int
    """Times that it did not do what it was asked."""


class RtpengineStatus(Answer):
    """How many rtpengine daemons there are; calls are refused while none of them is up."""

    nodes: int = Field(examples=[2])
    up: int = Field(examples=[2])


class Ready(Answer):
    """New calls are taken."""

    status: str = Field(examples=["ok"])
    store: StoreStatus
    rtpengine: RtpengineStatus | None
    """null where this process carries the audio."""


class Outcome(Answer):
    """How it ended; `docs/outcomes.md` lists every row."""

    name: str = Field(examples=["sip_auth_failed"])
    code: int = Field(examples=[4240])
    status: str = Field(examples=["failed"])
    source: str = Field(examples=["agent"])
    """caller, agent, assistant, api, b2bua or network."""
    sip_status: int | None = Field(examples=[403])
    sip_reason: str | None = Field(examples=["Forbidden"])


class NoOutcome(Answer):
    """`{}` while it has not ended."""


class Attempt(Answer):
    """One try at one URI of a destination."""

    destination: str
    method: str
    target: str
    encryption: str
    started: Time
    challenged: Time
    ringing: Time
    answered: Time
    ended: Time
    outcome: Outcome | NoOutcome
    detail: str | None = Field(default=None, examples=["rejected"])
    """What exactly went wrong, for people: why a login failed, a name was not found, an address not reached, or the far
    end's own words. null where there is nothing to add."""


class DroppedHeader(Answer):
    """A header that was not sent."""

    name: str = Field(examples=["X-Twilio-Sid"])
    reason: str = Field(examples=["reserved name"])


class Resolution(Answer):
    """What the human side says became of a handoff."""

    at: Time
    result: str = Field(examples=["refunded"])
    agent: str = Field(examples=["ann"])
    note: str
    data: Data


class Annotation(Answer):
    """A note on a call."""

    id: str
    at: Time
    text: str = Field(examples=["The caller asked twice for a refund."])
    author: str = Field(examples=["supervisor"])
    data: Data


class Handoff(Answer):
    """A request to move a conversation to a human, and what came of it."""

    id: str
    call_id: str | None
    """null for a conversation that is no call."""
    channel: str = Field(json_schema_extra={"enum": ["voice", "webchat", "sms"]})
    node: str
    """The host whose B2BUA has it."""
    state: str = Field(
        json_schema_extra={
            "enum": ["requested", "dialing", "ringing", "connected", "completed", "failed", "cancelled"]
        }
    )
    method: str | None = Field(examples=["invite"])
    """null for a conversation that is no call."""
    destination: str
    """The one in hand: fallbacks change it."""
    reason: str
    utterance: str
    shared_id: str
    data: Data
    headers_sent: dict[str, str]
    headers_dropped: list[DroppedHeader]
    attempts: list[Attempt]
    outcome: Outcome | None
    """null until it has ended."""
    confirmed: bool | str | None
    """How the far side confirmed it, where the method tells: `notify`, `bye`, `assumed`, `none`, true or false."""
    consult: str | None = Field(
        json_schema_extra={
            "enum": ["dialing", "waiting", "briefing", "introducing", "accepted", "declined", None]
        }
    )
    """Where the consultation is; null for a handoff without one."""
    created: Time
    updated: Time
    resolution: Resolution | None
    """What the human side said last, with `POST /v1/handoffs/{id}/outcome`."""


class Handoffs(Answer):
    """Newest first."""

    handoffs: list[Handoff]
    next: str | None
    """`after` of the next page; null when this is the last one."""
    complete: bool
    """false while the store does not answer: these are the handoffs that this process knows by itself."""


class CallInShort(BaseModel):
    """A call; it is live while `ended` is null."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    call_id: str
    trunk: str
    caller: str
    called: str
    started: Time
    answered: Time
    ended: Time
    outcome: Outcome | NoOutcome
    """`{}` while the call is live."""


class Calls(Answer):
    """Live calls, then recent ones, newest first."""

    calls: list[CallInShort]


class Recording(Answer):
    """A recording of a call: a WAV file on the machine of its node."""

    path: str = Field(examples=["state/recordings/4f1c….wav"])
    state: str = Field(json_schema_extra={"enum": ["recording", "paused", "ended", "failed"]})
    started: Time
    ended: Time
    error: str | None
    """Why the disk took no more; null when it did."""
    dropped: int
    """Packets that the disk was too slow for; they are silence."""


class Call(CallInShort):
    """A call in full: its record as far as it is written, its timeline, and its handoffs."""

    session_id: str
    node: str
    duration_ms: int
    attempts: list[Attempt]
    """Those of the initial route; a handoff's are under the handoff."""
    handoffs: list[Handoff]
    legs: list[dict[str, object]]
    """As in the call record: role, addresses, encryption, times, who ended it, and how the audio of each is (`media`),
    for a live call at this moment."""
    recordings: list[Recording] = []
    """In the order in which they began."""
    bridges: list[dict[str, object]] = []
    """The calls that it was joined with, and when."""
    media: dict[str, dict[str, object]]
    """The same by role: of several legs in a role the last one that was answered."""
    annotations: list[Annotation]
    """Notes on the call, the oldest first."""
    timeline: list[dict[str, object]]
    """What happened, in order."""


class Destination(Answer):
    """A named place for humans. Its route, headers and credentials are not shown."""

    name: str = Field(examples=["billing"])
    description: str = Field(examples=["Billing disputes and refunds"])
    default: bool
    method: str = Field(examples=["invite"])
    encryption: str | None = Field(examples=["udp/rtp"])
    """null where the SBC decides: `refer` and `bye`."""
    reachability: str | None = Field(examples=["up"])
    """What its pings say: up, down or unknown; null when it is not pinged."""


class DestinationSettings(BaseModel):
    """A destination as the file has it: the keys of `docs/configuration.md`, those that are written, as they are
    written. Durations are text, `${NAME}` is not replaced, and secrets are not there.
    """

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    name: str = Field(examples=["billing"])
    default: bool
    method: str = Field(default="", examples=["invite"])
    secrets: dict[str, str] = Field(examples=[{"auth.password": "set"}])
    """`set` or `unset` for each secret; `set` when it is in a file or in the environment, too."""


class Destinations(Answer):
    """In the order of the file."""

    destinations: list[Destination]


class Registration(Answer):
    """One registration of ours at a trunk's registrar."""

    registrar: str = Field(examples=["sip:gw.acme.example"])
    address_of_record: str = Field(examples=["sip:us@gw.acme.example"])
    state: str = Field(examples=["registered"])
    """trying, registered or failed."""
    expires: Time
    """When the registrar forgets us unless we refresh."""
    next: Time
    """When the next REGISTER is sent, unless a connection is lost before."""
    failures: int
    """In a row."""
    sip_status: int | None = Field(examples=[200])
    """Of its last response; null when there was none."""
    sip_reason: str
    """The phrase of that response, or what happened in place of one."""


class Trunk(Answer):
    """A peer. Its addresses and credentials are not shown."""

    name: str = Field(examples=["acme-sbc"])
    reachability: str | None = Field(examples=["up"])
    """What its pings say: up, down or unknown; null when it is not pinged."""
    registrations: list[Registration]
    """One for each registrar; none without `register`."""


class Trunks(Answer):
    """In the order of the file."""

    trunks: list[Trunk]


class Reloaded(Answer):
    """The edited configuration is in force for new calls."""

    destinations: int
    """How many there are."""
    restart_needed: list[str]
    """Keys whose edits take effect at the next start only."""
    warnings: list[str]
