"""A request of ours outside any dialog (OPTIONS, REGISTER), and the wait for its final response."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sip_stack.message import Response


class Inquiry:
    """The owner of one `endpoint.request`."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()

    def completed(self, response: Response | None) -> None:
        """The final response has come, or it is certain that none will (None)."""
        if not self._answer.done():
            self._answer.set_result(response)

    async def response(self, patience: float) -> Response | None:
        """The final response; None when there was none within `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                return await self._answer
        except TimeoutError:
            return None
