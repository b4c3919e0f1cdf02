"""The Python client of the HTTP API, for voice-AI applications: `pip install b2bua[client]`.

    with Client("http://127.0.0.1:8080", key) as b2bua:
        call = b2bua.on_call(call_id)
        handoff = call.call_handoff("billing", reason="refund", utterance="I am connecting you.")
        print(b2bua.wait_for_handoff(handoff.id).state)

`AsyncClient` has the same methods to await. `connect_to_live_agent` is the same thing as a tool of a language model.
It knows nothing of the server beside its API.
"""

from b2bua.client.answers import Call, Destination, DestinationSettings, Handoff, Outcome
from b2bua.client.async_client import AsyncClient, AsyncOnCall
from b2bua.client.client import Client, OnCall
from b2bua.client.errors import (
    ApiError,
    BadRequest,
    ClientError,
    Conflict,
    NotFound,
    ServerError,
    Unauthorized,
    Unreachable,
    WaitTimeout,
)
from b2bua.client.events import (
    CallAnswered,
    CallEnded,
    CallStarted,
    ConsultChanged,
    DigitPressed,
    Event,
    Gap,
    HandoffChanged,
    LegAnswered,
    LegEnded,
    LegRinging,
    RecordingChanged,
)
from b2bua.client.requests import CallOptions, ContextOptions, HandoffOptions
from b2bua.client.tool import (
    FAILURE_REASONS,
    ToolResult,
    anthropic_tool,
    connect_to_live_agent,
    connect_to_live_agent_async,
    openai_responses_tool,
    openai_tool,
)

__all__ = [
    "FAILURE_REASONS",
    "ApiError",
    "AsyncClient",
    "AsyncOnCall",
    "BadRequest",
    "Call",
    "CallAnswered",
    "CallEnded",
    "CallOptions",
    "CallStarted",
    "Client",
    "ClientError",
    "Conflict",
    "ConsultChanged",
    "ContextOptions",
    "Destination",
    "DestinationSettings",
    "DigitPressed",
    "Event",
    "Gap",
    "Handoff",
    "HandoffChanged",
    "HandoffOptions",
    "LegAnswered",
    "LegEnded",
    "LegRinging",
    "NotFound",
    "OnCall",
    "Outcome",
    "RecordingChanged",
    "ServerError",
    "ToolResult",
    "Unauthorized",
    "Unreachable",
    "WaitTimeout",
    "anthropic_tool",
    "connect_to_live_agent",
    "connect_to_live_agent_async",
    "openai_responses_tool",
    "openai_tool",
]
