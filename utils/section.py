"""The base of everything a configuration may say: unknown keys are refused, values never change."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A block of keys in a YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
