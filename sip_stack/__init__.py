"""A SIP user agent stack: a core without I/O, and asyncio around it in `sip_stack.aio`."""
