"""What a server may be told: the keys of configs/serve.yaml, which the arguments of serve.py override."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from configs.loading.schemas import checked, merged
from utils.config.section import Section

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class Limits(Section):
    """What one request may ask for, and what all together may hold in memory."""

    file_mb: Annotated[float, Field(gt=0, le=1000)] = Field(
        10, description="Largest image file, in millions of bytes; a larger one is answered with 413."
    )
    files: Annotated[int, Field(ge=1, le=100)] = Field(10, description="Most files of one batch.")
    megapixels: Annotated[float, Field(gt=0, le=178)] = Field(
        40, description="Largest image, in millions of pixels; known from its head, before it is decoded."
    )
    megapixels_at_once: Annotated[float, Field(gt=0, le=10_000)] = Field(
        40, description="Images that are decoded at the same time have at most so many pixels together (or are one)."
    )
    upload_mb_at_once: Annotated[float, Field(gt=0, le=100_000)] = Field(
        256, description="Bodies of requests that are held at the same time, together; more are answered with 503."
    )
    upload_s: Seconds = Field(30, description="A request that is not sent after so long is answered with 408.")
    header_s: Seconds = Field(10, description="A connection that sends no whole header for so long is closed.")
    connections: Count = Field(1000, description="Connections at the same time; more are answered with 503.")
    per_client: Count | None = Field(
        None,
        description="Images of one address at the same time; more are answered with 429. `null`: no limit. Behind a "
        "proxy all clients have its address.",
    )


class Serve(Section):
    """All settings of a server."""

    models: tuple[str, ...] = Field(
        (),
        description="ONNX files, beside those of `--model`. Requests name one by its file name, without .onnx.",
    )
    host: str = Field("127.0.0.1", description="Address to listen at; `0.0.0.0`: all, as in a container.")
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(8000, description="Port to listen at; 0: a free one.")
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        "auto",
        description="What computes networks. `auto`: CUDA if ONNX Runtime has it, else the processor. If what is asked "
        "for is not there, the log, `/health` and `/model-info` say so.",
    )
    strict_provider: bool = Field(
        False, description="End with a sentence, in the place of the processor, if the provider is not there."
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None,
        description="Threads that compute a batch; `null`: half of the cores, for two batches are computed at a time.",
    )
    workers: Annotated[int, Field(ge=1, le=256)] | None = Field(
        None, description="Images that are decoded, refined or encoded at the same time; `null`: one for each core."
    )
    batch: Annotated[int, Field(ge=1, le=256)] | None = Field(
        None,
        description="Images that a network computes at a time if so many wait; `null`: 8 on a GPU, 1 on a processor, "
        "which gains nothing from more.",
    )
    queue: Count = Field(64, description="Images in work or waiting; more are answered with 503 and Retry-After.")
    timeout_s: Seconds = Field(60, description="An image that is not finished after so long is answered with 503.")
    shutdown_s: Seconds = Field(30, description="After SIGTERM, requests that run may take so long to finish.")
    limits: Limits = Field(Limits(), description="Limits of requests.")
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins whose pages may call the server, such as `[https://example.org]`; none by default."
    )
    api_key_file: str | None = Field(
        None, description="File with the key that requests must send as `X-API-Key`; `null`: none is needed."
    )
    page: bool = Field(
        True, description="Whether `/` is the page for people. With an API key there is none: it would need no key."
    )


def load_settings(path: Path, overrides: Sequence[str] = ()) -> Serve:
    """Read a YAML file and `key=value` overrides. Raises `UserError` with all problems, a line each."""
    node, problems = merged(Serve, path, overrides)
    return checked(Serve, node, problems)
