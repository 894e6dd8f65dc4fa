"""Requests that are refused: a status of HTTP and one sentence, which the client reads as `{"error": …}`."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse


class Refused(Exception):
    """A request that cannot be answered. `retry_after_s`: when to try again."""

    def __init__(self, status: int, sentence: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.retry_after_s = status, sentence, retry_after_s

    @property
    def headers(self) -> Mapping[str, str]:
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}

    def answer(self) -> JSONResponse:
        """Return the response."""
        return JSONResponse({"error": self.sentence}, self.status, headers=dict(self.headers))
