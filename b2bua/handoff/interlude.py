"""What the caller hears between the assistant and the human: the assistant, hold music, or the human's early media.

Never nothing: when the assistant leaves meanwhile, music plays on, and without any there is ringback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.config import HoldMusic


class Interlude:
    """One destination's. `music` None is the assistant itself."""

    def __init__(self, call: Call, caller: Leg, music: HoldMusic | None) -> None:
        self._call = call
        self._caller = caller
        self._early_media = music is not None and music.kind == "early_media"
        self._music = None if self._early_media else music
        self._playing = False
        self._early: Leg | None = None
        self._over = False
        call.on_alone = self.go_on

    def begin(self) -> None:
        """Play the hold music, where there is some."""
        if self._music is not None or self._call.peer is None:
            self.go_on()

    def early_media(self, leg: Leg) -> None:
        """A destination lets its audio be heard before it answers."""
        if self._early_media:
            self._early = leg
            self._call.media.hear(self._caller.media, leg.media)

    def lose(self, leg: Leg) -> None:
        """A destination that was dialled is given up."""
        if leg is self._early:
            self._early = None
            self._playing = False
            self.resume()

    def resume(self) -> None:
        """Go back to what was heard before anybody was."""
        self._over = False
        if self._music is None and self._call.peer is not None:
            self._call.media.hear(self._caller.media, self._call.peer.media)
        else:
            self._playing = False
            self.go_on()

    def hold(self) -> None:
        """The assistant is busy: music, where there is some, else ringback."""
        self._early, self._playing = None, False
        self.go_on()

    def end(self) -> None:
        """The human answered: the engine switches to them by itself and must not be disturbed."""
        self._over = True

    def go_on(self) -> None:
        """There is nobody to hear, or hold music to be played: see to it that something is heard."""
        if self._over or self._playing or self._early is not None:
            return
        self._playing = True
        services, music = self._call.services, self._music
        if music is not None and music.kind == "file":
            assert music.path is not None, "hold music from a file has a path"
            self._call.media.hear(self._caller.media, services.prompts[music.path])
        elif music is not None and music.kind == "silence":
            self._call.media.hear(self._caller.media, None)
        else:
            self._call.media.hear(self._caller.media, self._call.ringback())
