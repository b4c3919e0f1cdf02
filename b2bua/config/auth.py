"""`auth:` as whom we answer a digest challenge, or who answers ours."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, SecretStr
from pydantic.config import JsonDict

from b2bua.config.section import Section, matching
from sip_stack.auth import Credentials

Word = Annotated[str, matching(r"[^\x00-\x1f\x7f]{1,256}", "up to 256 characters on one line")]
Password = Annotated[SecretStr, Field(min_length=1, max_length=1024)]


def _either_password(schema: JsonDict) -> None:
    """`password_file` is read before the model is made: only editors see it here."""
    properties = schema["properties"]
    assert isinstance(properties, dict), "a model has properties"
    properties["password_file"] = {"type": "string", "description": "A file that holds the password."}
    schema["required"] = ["username"]
    schema["oneOf"] = [{"required": ["password"]}, {"required": ["password_file"]}]


class Login(Section):
    """A user name and its password; the password is never printed, logged or returned."""

    model_config = ConfigDict(json_schema_extra=_either_password)

    username: Word
    """As the other side knows it."""
    password: Password
    """Best `${NAME}` from the environment. `password_file: PATH` in its place reads it from a file."""


class Auth(Login):
    """As whom we answer challenges."""

    realm: Word | None = None
    """When set, challenges of other realms are not answered."""

    @property
    def credentials(self) -> Credentials:
        """The same in the stack's words."""
        return Credentials(self.username, self.password.get_secret_value(), self.realm)
