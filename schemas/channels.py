"""Channels: where to send. The field names are the API's and the rules file's."""

from typing import Annotated, Literal, NewType

from pydantic import Field, InstanceOf, PlainSerializer
from pydantic.functional_validators import AfterValidator, BeforeValidator

from schemas import headers, signing_secrets, urls
from schemas.rules import Key, Model, Name
from schemas.secret import Secret

ChannelId = NewType("ChannelId", str)
Format = Literal["openmeter"]


def _url(url: str) -> str:
    if problem := urls.problem(url):
        raise ValueError(problem)
    return url


def _secret(value: object) -> object:
    if isinstance(value, str):
        return Secret(value)
    if not isinstance(value, Secret):
        raise ValueError("must be a text")  # noqa: TRY004 - pydantic turns ValueError into its own error
    return value


def _signing_secret(value: Secret) -> Secret:
    signing_secrets.decode(value)
    return value


def _headers(values: dict[str, Secret]) -> dict[str, Secret]:
    if found := headers.problems(values):
        raise ValueError("; ".join(found))
    return values


Url = Annotated[str, AfterValidator(_url)]
SecretText = Annotated[InstanceOf[Secret], BeforeValidator(_secret), PlainSerializer(str)]
SigningSecret = Annotated[SecretText, AfterValidator(_signing_secret)]
Headers = Annotated[dict[str, SecretText], AfterValidator(_headers)]


class ChannelConfig(Model):
    """A channel as a person writes it. `disabled` left out keeps who disabled it."""

    type: Literal["WEBHOOK"]
    name: Name
    url: Url
    key: Key | None = None
    custom_headers: Headers | None = None
    signing_secret: SigningSecret | None = None
    format: Format = "openmeter"
    disabled: bool | None = None
    metadata: Annotated[dict[str, str], Field(default_factory=dict)]
