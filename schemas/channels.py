"""Channels: where to send. The field names are the API's and the rules file's."""

from typing import Annotated, Literal, NewType

from pydantic import Field, InstanceOf, PlainSerializer, WithJsonSchema
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
SecretText = Annotated[
    InstanceOf[Secret], BeforeValidator(_secret), PlainSerializer(str), WithJsonSchema({"type": "string"})
]
SigningSecret = Annotated[SecretText, AfterValidator(_signing_secret)]
Headers = Annotated[dict[str, SecretText], AfterValidator(_headers)]


class ChannelConfig(Model):
    """A channel as a person writes it. `disabled` left out keeps who disabled it."""

    type: Literal["WEBHOOK"]
    name: Name
    url: Annotated[Url, Field(description="Where to POST: http or https, no user, no fragment.")]
    key: Annotated[Key | None, Field(description="By which `tollbell apply` finds it again.")] = None
    custom_headers: Annotated[
        Headers | None, Field(description="Sent with every webhook; stored encrypted. At most 50.")
    ] = None
    signing_secret: Annotated[
        SigningSecret | None, Field(description="`whsec_` and base64 of 24 to 75 bytes; made where absent.")
    ] = None
    format: Annotated[Format, Field(description="The payload's form.")] = "openmeter"
    disabled: Annotated[
        bool | None, Field(description="Left out: as it was. While true, no event makes a delivery for it.")
    ] = None
    metadata: Annotated[dict[str, str], Field(default_factory=dict, description="Yours; kept as it is.")]
