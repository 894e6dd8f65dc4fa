"""The block `services` of the schema. A channel's keys are the keyword-only arguments of its builder."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, create_model, model_validator
from pydantic.fields import FieldInfo

from services import CHANNELS
from utils.config.component import Builder, params_of
from utils.config.section import Section, fault
from utils.redact import looks_secret


class Shared(Section):
    """The services that are told how the run goes. Secrets do not belong here: they are environment variables or lines
    of a file `.env` (see `.env.example`). A channel whose secrets are missing is off; `python -m services.check` shows
    which."""

    language: Literal["en", "ko"] = Field("en", description="Language of all messages: English or Korean.")
    every_epochs: Annotated[int, Field(ge=1)] = Field(
        1, description="Epochs between messages of progress; evaluations in a training of `steps`."
    )

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Self:
        for path, value in _texts(self.model_dump(mode="json")):
            if looks_secret(value):
                raise fault(
                    "holds a secret, which would be written to every copy of this config. Revoke it, and put the new "
                    "one into .env",
                    *path,
                )
        return self


def _texts(values: Mapping[str, Any], *path: str) -> list[tuple[tuple[str, ...], str]]:
    """Return every text in nested blocks with the path of its keys."""
    found: list[tuple[tuple[str, ...], str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += _texts(value, *path, key)
        elif isinstance(value, str):
            found.append(((*path, key), value))
    return found


def _with_channels() -> type[Shared]:
    fields: dict[str, Any] = {name: _block(name, kind.build) for name, kind in CHANNELS.items()}
    return create_model("Services", __base__=Shared, __doc__=Shared.__doc__, **fields)


def _block(name: str, build: Builder) -> tuple[type[Section], FieldInfo]:
    """Return the block of one channel, with the builder's arguments as keys.

    Lines `key: meaning` of the builder's docstring become the descriptions of the keys, the text before them that of
    the block.
    """
    params = params_of(build).model_fields
    about, *meanings = re.split(rf"(?m)^({'|'.join(params)}): ", inspect.getdoc(build) or "")
    described = dict(zip(meanings[::2], meanings[1::2], strict=True))
    fields: dict[str, Any] = {}
    for key, param in params.items():
        field = copy(param)
        meaning = " ".join(described.get(key, "").split())
        field.description = f"{meaning[:1].upper()}{meaning[1:]}" or None
        fields[key] = (field.annotation, field)
    section = create_model(name, __base__=Section, __doc__=about.strip(), **fields)
    return section, FieldInfo(default=section(), description=about.split(". ")[0])


if TYPE_CHECKING:
    Services = Shared
else:
    Services = _with_channels()
