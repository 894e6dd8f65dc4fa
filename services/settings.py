"""Types of settings that several channels share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def _address(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError(f"expected an address that begins with https://, got {value[:60]!r}")
    return value


SECRET_ADDRESSES = ("base_url", "auth_url", "api_url")
"""Keys of channels whose value receives a secret, so it is never taken from the folder of a run."""

Address = Annotated[str, AfterValidator(_address)]
