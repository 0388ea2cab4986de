"""What the models of configuration share: rules, channels, the rules file, the API's bodies."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

MAX_METADATA: Final = 50  # entries: a person's own labels, kept with each channel and rule, never a store of their own

Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00]+$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00]+$")]
Remark = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]
Metadata = Annotated[
    dict[Label, Remark],
    Field(
        max_length=MAX_METADATA,
        default_factory=dict,
        description="Yours; kept as it is. At most 50 texts of 4096 characters, with names of 256.",
    ),
]
MAX_KEY: Final = 256  # as a record's identifiers: a feature whose key no record may have is in no rule
KEY_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
Key = Annotated[str, StringConstraints(min_length=1, max_length=MAX_KEY, pattern=KEY_PATTERN)]


class Model(BaseModel):
    """CamelCase outside, immutable, and no unknown fields."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_enum_values=False,
    )
