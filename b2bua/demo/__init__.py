"""What `b2bua demo` plays: a caller, an assistant and a contact centre on real sockets, with the B2BUA between them."""

from b2bua.demo.play import play

__all__ = ["play"]
