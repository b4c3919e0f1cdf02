"""A call as everybody saw it, and whether it ended as it should."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from b2bua.demo.journal import CallerResult, Entry, Heard, Referred
from b2bua.demo.receiver import Callback
from b2bua.demo.story import CALLER_TONE, Scenario

JsonObject = dict[str, object]


@dataclass(slots=True)
class PlayedCall:
    """What the stand-ins, the application and our own record say about one call."""

    scenario: Scenario
    wav: Path
    entries: list[Entry] = field(default_factory=list)
    result: CallerResult | None = None
    heard: dict[str, Heard] = field(default_factory=dict)
    """By who heard it: `caller`, `assistant`, `agent`."""
    referred: Referred | None = None
    """What an assistant was told about its REFER."""
    followed: JsonObject | None = None
    """The handoff as the application last saw it."""
    context: JsonObject | None = None
    """The handoff as the human's screen fetched it."""
    callbacks: list[Callback] = field(default_factory=list)
    record: JsonObject | None = None

    @property
    def outcome(self) -> JsonObject:
        """`outcome` of the record: name, code, status, source."""
        return _mapping(self.record or {}, "outcome")

    @property
    def handoff(self) -> JsonObject:
        """The handoff in the record."""
        handoffs = _list(self.record or {}, "handoffs")
        return handoffs[0] if handoffs else {}

    @property
    def handoff_outcome(self) -> JsonObject:
        """How that ended."""
        return _mapping(self.handoff, "outcome")

    def tones(self, who: str) -> list[int]:
        """What somebody heard, in hertz, in order."""
        return self.heard[who].tones if who in self.heard else []

    def problems(self) -> list[str]:
        """What did not end as it should, in words; empty when all is well."""
        if self.result is None:
            return ["the caller process gave no result"]
        return [*self._end(self.result), *self._audio(), *self._handoff()]

    def _end(self, result: CallerResult) -> list[str]:
        wanted, found = self.scenario, []
        if result.status != wanted.status:
            found.append(f"the caller got {result.status} {result.reason}, not {wanted.status}")
        if self.record is None:
            found.append("there is no record of it")
        elif (self.outcome.get("name"), self.outcome.get("code")) != (wanted.outcome, wanted.code):
            found.append(f"recorded as {self.outcome.get('name')} {self.outcome.get('code')}")
        return found

    def _audio(self) -> list[str]:
        wanted = self.scenario
        found = self._heard("caller", wanted.hears, wanted.pause)
        if wanted.agent_hears:
            found += self._heard("agent", wanted.agent_hears, wanted.pause)
        if wanted.transfer is not None:
            found += self._heard("assistant", (CALLER_TONE,), wanted.pause)
        return found

    def _heard(self, who: str, tones: tuple[int, ...], pause: float) -> list[str]:
        if self.tones(who) != list(tones):
            return [f"the {who} heard {hertz(self.tones(who))}, not {hertz(tones)}"]
        if who not in self.heard:
            return []
        heard, found = self.heard[who], []
        if heard.pause > pause:
            found.append(f"the {who} heard no clear tone for {heard.pause:.2f} s")
        if heard.streams > 1:
            found.append(f"the {who} got {heard.streams} RTP streams")
        return found

    def _handoff(self) -> list[str]:
        wanted = self.scenario.transfer
        if wanted is None or self.record is None:
            return []
        found: list[str] = []
        outcome = (self.handoff_outcome.get("name"), self.handoff_outcome.get("code"))
        if outcome != (wanted.outcome, wanted.code):
            found.append(f"the handoff is recorded as {outcome[0]} {outcome[1]}")
        how = (self.handoff.get("method"), self.handoff.get("confirmed"))
        if how != (wanted.method, wanted.confirmed):
            found.append(f"the handoff was by {how[0]}, confirmed: {how[1]}")
        legs = {leg.get("role"): leg for leg in _list(self.record, "legs")}
        released_by = legs.get("assistant", {}).get("ended_by")
        if released_by != wanted.released_by:
            found.append(f"the assistant was let go by {released_by}, not {wanted.released_by}")
        if wanted.asked_by == "assistant":
            return found + self._told(wanted.told)
        told = _mapping(self.followed or {}, "outcome").get("code")
        if told != wanted.code:
            found.append(f"the application was told {told}")
        got = [callback.parameters.get("Event") for callback in self.callbacks]
        if got != list(wanted.callbacks):
            found.append(f"the application was called back with {got}")
        if wanted.data and _mapping(self.context or {}, "data") != wanted.data:
            found.append("the human's screen did not show the context")
        return found

    def _told(self, status: int | None) -> list[str]:
        """RFC 3515: 202, a NOTIFY at once, and one that is the last with how it ended."""
        referred, found = self.referred, []
        if referred is None or not referred.notified:
            return ["the assistant was told nothing"]
        if referred.accepted != 202:
            found.append(f"the REFER was answered {referred.accepted}, not 202")
        if (referred.notified[0], referred.notified[-1]) != (100, status):
            found.append(f"the assistant was notified of {referred.notified}, not 100 to {status}")
        if referred.terminated != [False] * (len(referred.terminated) - 1) + [True]:
            found.append("the last NOTIFY is not the one that says so")
        return found


def hertz(tones: list[int] | tuple[int, ...]) -> str:
    """Tones in words."""
    return ", then ".join(f"{tone} Hz" for tone in tones) or "nothing"


def _mapping(parent: JsonObject, key: str) -> JsonObject:
    found = parent.get(key)
    return found if isinstance(found, dict) else {}


def _list(parent: JsonObject, key: str) -> list[JsonObject]:
    found = parent.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
