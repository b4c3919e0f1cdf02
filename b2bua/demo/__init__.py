"""What `b2bua demo` plays: a caller and a contact centre on real sockets, with the B2BUA between them."""

from b2bua.demo.play import play

__all__ = ["play"]
