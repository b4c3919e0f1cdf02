"""What tells transactions apart: RFC 3261 sections 17.1.3 and 17.2.3, with the fallback for RFC 2543 peers.

A key is a plain string, so that a table of them costs the garbage collector nothing.
"""

from __future__ import annotations

from sip_stack.message import MAGIC_COOKIE, Request


def client_key(branch: str, method: str) -> str:
    """Key of a client transaction: our branch and the method (section 17.1.3); INVITE and its CANCEL share a
    branch."""
    return f"{branch} {method}"


def server_key(request: Request, method: str | None = None) -> str:
    """Key of the server transaction that `request` belongs to (section 17.2.3); `method` looks for another
    one's.

    INVITE and ACK share a key on purpose: the ACK to a final response >= 300 is part of the INVITE
    transaction. Raises RemoteError when Via, or for RFC 2543 peers any header of the fallback, cannot be
    read.
    """
    method = method or request.method
    if method == "ACK":
        method = "INVITE"
    via = request.via
    branch = via.branch
    if branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE):
        return f"{branch} {via.sent_by} {method}"
    # RFC 2543: no unique branch. The To tag is left out of the key, since the ACK has the one we chose.
    return (
        f"2543 {request.uri} {request.call_id} {request.from_.tag} {request.cseq.number} "
        f"{via.sent_by} {branch} {method}"
    )


def merge_key(request: Request) -> str:
    """What a request that came over two paths has in common (section 8.2.2.2): From tag, Call-ID, CSeq."""
    cseq = request.cseq
    return f"{request.call_id} {request.from_.tag} {cseq.number} {cseq.method}"
