"""How long to search: a little in every run of the tests; `CARPUS_FUZZ=20000` searches long and at random."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("CARPUS_FUZZ", "60"))
settings.register_profile(
    "fuzz",
    max_examples=EXAMPLES,
    derandomize="CARPUS_FUZZ" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
