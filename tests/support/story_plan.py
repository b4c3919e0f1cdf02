"""A random story: which steps are taken when, drawn from a seed beforehand, and the world that it is played in."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from tests.support.b2bua_world import B2BUA, BILLING, DESK, SBC
from tests.support.forking_proxy import LEFT, PROXY, RIGHT
from tests.support.handoff_cast import ASSISTANT
from tests.support.told_application import URLS

BOB = "192.0.2.78"
BUSY = "198.51.100.3"
"""The phone here always refuses."""
MOVED = "198.51.100.4"
"""The phone here sends whoever calls to the desk."""
SILENT = "198.51.100.99"
"""Nobody is here."""
HUMANS = (DESK, BILLING, BUSY, MOVED, LEFT, RIGHT)
CALLERS = (SBC, BOB)

LIFE = 40.0
"""Seconds in which steps are taken."""
TIME_LIMIT = 60.0
"""Seconds after which any two have talked enough."""

MAIN = f"""\
sip:
  listen: ["udp:{B2BUA}:5060"]
media:
  address: {B2BUA}
trunks:
  acme-sbc:
    accept: {{addresses: ["192.0.2.0/24"]}}
    session_timers: {{use: supported, expires: 90s}}
routes:
  - {{trunk: acme-sbc, to: support, assistant: "sip:bot@{ASSISTANT}"}}
  - trunk: acme-sbc
    to: kept
    assistant: "sip:bot@{ASSISTANT}"
    on_assistant_lost: default_destination
    redial_assistant: true
    after_agent: assistant
  - {{trunk: acme-sbc, to: "*", destination: front-desk}}
destinations: destinations.yaml
records: {{cdr: cdr.jsonl}}
policy: {{allow: ["sip:*@{DESK}", "sip:*@{BILLING}"]}}
webhooks: {{allow: ["app.example.com"], retries: 5}}
timers:
  {{connect_timeout: 2s, ring_timeout: 6s, auth_timeout: 3s, refer_timeout: 6s, media_timeout: 20s,
    time_limit: {TIME_LIMIT:.0f}s}}
"""
_INVITED = f"""\
front-desk: {{route: "sip:operator@{DESK}", default: true}}
billing: {{route: "sip:queue@{BILLING}", auth: {{username: acme, password: s3cret-of-billing}}, fallback: front-desk}}
busy: {{route: "sip:first@{BUSY}", fallback: billing}}
pair: {{route: ["sip:first@{BUSY}", "sip:second@{DESK}"], hold_music: ringback}}
together: {{route: ["sip:one@{DESK}", "sip:other@{BILLING}"], ring: together, hold_music: early_media}}
on-start: {{route: "sip:operator@{DESK}", release_assistant: on_start}}
before-dial: {{route: "sip:operator@{DESK}", release_assistant: before_dial}}
asked: {{route: "sip:operator@{DESK}", accept_key: "1", accept_timeout: 4s, fallback: billing}}
screened: {{route: "sip:operator@{DESK}", detect_voicemail: long_speech}}
starred: {{route: "sip:operator@{DESK}", hangup_on_star: true, after_agent: assistant}}
transferring: {{route: "sip:operator@{DESK}", agent_may_transfer: true}}
moved: {{route: "sip:operator@{MOVED}"}}
fork: {{route: "sip:all@{PROXY}", record: true}}
strict: {{route: "sip:operator@{DESK}", 100rel: required, session_timers: {{use: required, expires: 90s}}}}
nobody: {{route: "sip:ghost@{SILENT}"}}
unknown: {{route: "sip:desk@pbx.example.com", fallback: front-desk}}
"""
_WEBHOOKS = ", ".join(f'{name}: "{url}"' for name, url in URLS.items())
DESTINATIONS = _INVITED.replace("{route:", f"{{method: invite, encryption: udp/rtp, {_WEBHOOKS}, route:") + (
    f'by-refer: {{method: refer, {_WEBHOOKS}, route: "sip:operator@{SBC}"}}\n'
    f'assumed: {{method: refer, {_WEBHOOKS}, route: "sip:operator@{SBC}", on_refer_timeout: assume_done}}\n'
    f"either: {{method: refer, {_WEBHOOKS}, refer_fallback: invite, encryption: udp/rtp, "
    f'route: "sip:operator@{DESK}"}}\n'
    f"back: {{method: bye, {_WEBHOOKS}}}\n"
)
RELEASING = ("on-start", "before-dial")
"""Places whose handoffs let the assistant go before the human has answered."""
INVITED = tuple(line.partition(":")[0] for line in _INVITED.splitlines())
PLACES = (*INVITED, "front-desk", "front-desk", "by-refer", "assumed", "either", "back")

STEPS: dict[str, float] = {
    "call": 2,
    "hand off": 10,
    "stop the handoff": 3,
    "consult": 4,
    "assistant refers": 4,
    "human refers": 2,
    "caller changes": 4,
    "assistant changes": 3,
    "human changes": 4,
    "caller presses": 2,
    "human presses": 4,
    "caller leaves": 1,
    "assistant leaves": 2,
    "human leaves": 2,
    "api hangs up": 1,
    "api joins": 2,
    "api places": 1,
    "api records": 2,
    "caller transfers": 3,
    "human transfers": 2,
    "place is taken": 4,
    "keys are heard": 1,
    "falls silent": 1,
    "vanishes": 1,
    "engine is lost": 0.3,
    "ports run out": 0.5,
    "reload": 0.5,
    "somebody looks": 1,
    "drain": 0.2,
    "kill": 0.6,
    "store fails": 0.5,
    "application fails": 0.5,
}
"""What may happen, and how often."""
ALWAYS = ("call", "hand off")


@dataclass(frozen=True)
class Step:
    """Something happens `at` so many seconds; whatever it has to choose comes from a source of its own."""

    number: int
    at: float
    what: str

    def source(self, seed: int) -> random.Random:
        """The choices of this step, the same whichever other steps are taken."""
        return random.Random(f"{seed}/step {self.number}")


@dataclass(frozen=True)
class StoryPlan:
    """The steps of a story. `rough`: on a network that loses, doubles and reorders. `outlives`: the audio outlives the
    process, as with rtpengine."""

    seed: int
    rough: bool
    outlives: bool
    steps: tuple[Step, ...]

    @classmethod
    def draw(cls, seed: int) -> StoryPlan:
        """The plan of a seed."""
        source = random.Random(f"{seed}/plan")
        at, steps = 0.0, [Step(0, 0.0, "call")]
        # Half of what may happen does not happen in this story, so that the other half meets more often.
        kinds = [kind for kind in STEPS if kind in ALWAYS or source.random() < 0.5]
        weights = [STEPS[kind] for kind in kinds]
        while at < LIFE:
            # Several at the same moment, several while messages are under way, and those with time between them.
            at += source.choice([0.0, source.uniform(0, 0.1), source.uniform(0, 1), source.uniform(0, 5)])
            steps.append(Step(len(steps), at, source.choices(kinds, weights)[0]))
        return cls(seed, source.random() < 0.3, source.random() < 0.7, tuple(steps))

    def with_only(self, numbers: set[int]) -> StoryPlan:
        """The same story with only these steps, to find out which of them matter."""
        return replace(self, steps=tuple(each for each in self.steps if each.number in numbers))
