"""SIP messages: values, parsing, checking, building (RFC 3261 sections 7, 8.2.6, 19, 20, 25)."""

from sip_stack.message.check import MAX_URI, check_request, check_response
from sip_stack.message.headers import MAX_HEADERS, Headers, header_key
from sip_stack.message.message import SIP_VERSION, Message, Request, Response
from sip_stack.message.params import (
    NO_PARAMS,
    Params,
    is_token,
    quote,
    require_sendable,
    split_commas,
    split_tokens,
    unquote,
)
from sip_stack.message.parser import MAX_MESSAGE, MalformedMessage, parse_message
from sip_stack.message.response import response_to
from sip_stack.message.status import reason_phrase
from sip_stack.message.uri import (
    OtherUri,
    SipUri,
    TelUri,
    Uri,
    escape_header,
    escape_param,
    escape_user,
    format_host_port,
    parse_host_port,
    parse_uri,
    unescape,
)
from sip_stack.message.values import MAGIC_COOKIE, CSeq, MediaType, NameAddr, Via

__all__ = [
    "MAGIC_COOKIE",
    "MAX_HEADERS",
    "MAX_MESSAGE",
    "MAX_URI",
    "NO_PARAMS",
    "SIP_VERSION",
    "CSeq",
    "Headers",
    "MalformedMessage",
    "MediaType",
    "Message",
    "NameAddr",
    "OtherUri",
    "Params",
    "Request",
    "Response",
    "SipUri",
    "TelUri",
    "Uri",
    "Via",
    "check_request",
    "check_response",
    "escape_header",
    "escape_param",
    "escape_user",
    "format_host_port",
    "header_key",
    "is_token",
    "parse_host_port",
    "parse_message",
    "parse_uri",
    "quote",
    "reason_phrase",
    "require_sendable",
    "response_to",
    "split_commas",
    "split_tokens",
    "unescape",
    "unquote",
]
