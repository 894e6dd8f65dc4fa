from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.kakao.standin import KakaoStandIn


@pytest.fixture
def standin() -> Iterator[KakaoStandIn]:
    """Kakao, with a clock that a test turns."""
    with KakaoStandIn() as running:
        yield running
