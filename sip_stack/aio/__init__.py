"""SIP on asyncio: sockets, resolution, and the stack that joins them to the endpoint."""
