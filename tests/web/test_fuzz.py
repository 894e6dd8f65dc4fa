"""Requests that are made up from our own description, and damaged images: never an answer of 500 or above 503.

`python -m tests.web.fuzz --examples 300` makes up more of them.
"""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.web.conftest import client_of
from tests.web.fuzz import damaged_images, refuse_faults, requests_made_up


def test_requests_made_up_from_the_description_are_answered_as_it_says(models: list[str]) -> None:
    assert requests_made_up(client_of(models).app, examples=6) == []


def test_damaged_images_are_the_fault_of_their_senders(client: TestClient) -> None:
    statuses = refuse_faults(client, damaged_images(seed=0, count=150))
    assert statuses.keys() <= {200, 413, 415, 422}
    assert statuses[422] > 20
