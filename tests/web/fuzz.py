"""Make up requests from the OpenAPI of an application with schemathesis, and damage images; a program for long runs.

python -m tests.web.fuzz --examples 300 --images 5000
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings

from tests.runtime.networks import small_for, write_described
from tests.web.conftest import client_of, encoded, photo

KINDS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")


def requests_made_up(app: Any, *, examples: int) -> list[str]:
    """Send requests that fit the description and some that do not; return what is wrong with answers.

    They are the same each time. The application is started and closed.
    """
    import schemathesis

    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    schema.config.generation.update(modes=list(schemathesis.GenerationMode))
    faults: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]
        try:
            _sent(operation, examples)
        except BaseExceptionGroup as group:
            faults += [f"{operation.label}: {error}" for error in group.exceptions]
        except Exception as error:
            faults.append(f"{operation.label}: {error}")
    return faults


def _sent(operation: Any, examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        case.call_and_validate(checks=checks())

    send()


def checks() -> list[Any]:
    """Return the checks that an answer must pass. Any bytes fit the description of a file, and most are no image."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as openapi

    return [
        not_a_server_error,
        openapi.status_code_conformance,
        openapi.content_type_conformance,
        openapi.response_headers_conformance,
        openapi.response_schema_conformance,
        openapi.negative_data_rejection,
        openapi.unsupported_method,
    ]


def damaged_images(seed: int, count: int) -> Iterator[bytes]:
    """Yield images of all formats with bytes changed, removed, doubled, or cut off."""
    draws = np.random.default_rng(seed)
    grey = encoded(np.zeros((16, 16), np.uint8), "PNG")
    whole = [*(photo(24, kind) for kind in KINDS), grey]
    for _ in range(count):
        content = bytearray(whole[draws.integers(len(whole))])
        for _ in range(draws.integers(1, 6)):
            place = int(draws.integers(len(content) + 1)) if draws.random() < 0.5 else int(draws.integers(60))
            way = draws.integers(4)
            if way == 0:
                content[place : place + 1] = bytes([draws.integers(256)])
            elif way == 1:
                del content[place : place + int(draws.integers(1, 40))]
            elif way == 2:
                content[place:place] = content[place : place + 20]
            else:
                content[place : place + 4] = bytes(draws.choice([0, 127, 255], 4).astype(np.uint8))
        yield bytes(content)


def refuse_faults(client: TestClient, images: Iterator[bytes]) -> Counter[int]:
    """Send images; return how often each status was answered. Raises `AssertionError` for a fault of the server."""
    statuses: Counter[int] = Counter()
    for number, content in enumerate(images):
        path = ("/remove-background?preset=plain", "/segment?model=bones", "/segment?model=cut")[number % 3]
        answer = client.post(path, files={"file": ("a", content)})
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, (path, content, answer.text)
        assert answer.status_code == 200 or list(answer.json()) == ["error"]
    return statuses


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.web.fuzz")
    parser.add_argument("--examples", type=int, default=300, help="requests of each endpoint")
    parser.add_argument("--images", type=int, default=5000, help="damaged images")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with TemporaryDirectory() as name:
        models = [
            str(write_described(Path(name) / f"{stem}.onnx", small_for(task), task))
            for stem, task in (("cut", "foreground"), ("bones", "hand_bone"))
        ]
        with client_of(models) as client:
            statuses = refuse_faults(client, damaged_images(arguments.seed, arguments.images))
        faults = requests_made_up(client_of(models).app, examples=arguments.examples)
    sys.stdout.write("\n".join([f"damaged images: {dict(statuses)}", *faults, f"{len(faults)} faults\n"]))


if __name__ == "__main__":
    main()
