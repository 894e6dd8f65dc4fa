"""Google Sheets on loopback: its token server, values, structure, permissions, and 60 reads and 60 writes a minute."""

from __future__ import annotations

import base64
import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.services.sheets.grid import BadRequest, Box, Grid, box_of, copied, place_of, split_range
from tests.services.sheets.structure import STRUCTURE
from tests.standin import Answer, Request, StandIn

PER_MINUTE = 60
"""Reads, and writes, of one account. https://developers.google.com/sheets/api/limits"""
AUDIENCE = "https://oauth2.googleapis.com/token"
"""For whom google-auth signs, whatever the key file's `token_uri` is."""
SCOPE = "https://www.googleapis.com/auth/spreadsheets"
ACCOUNT = "board@carpus-test.iam.gserviceaccount.com"
BOOK = "1StandInSpreadsheet-0000000000000000000000000"
STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
}


@dataclass
class Book:
    """A spreadsheet."""

    time_zone: str = "Asia/Seoul"
    auto_recalc: str = "ON_CHANGE"
    grids: list[Grid] = field(default_factory=lambda: [Grid("Sheet1", 0)])
    shared: dict[str, str] = field(default_factory=lambda: {ACCOUNT: "writer"})

    def tab(self, title: str) -> Grid:
        return next(grid for grid in self.grids if grid.title == title)

    def find(self, text: str) -> tuple[Grid, Box]:
        """A range's tab and cells. Raises `BadRequest`, also for a tab that is not there."""
        title, cells = split_range(text)
        grid = self.grids[0] if title is None else next((grid for grid in self.grids if grid.title == title), None)
        if grid is None:
            raise BadRequest(f"Unable to parse range: {text}")
        return grid, box_of(cells, grid)


class SheetsStandIn(StandIn):
    """`books` by ID; `write_key` makes the key file of a service account. A turned clock counts for quotas alone."""

    def __init__(self) -> None:
        super().__init__()
        self.books = {BOOK: Book()}
        self.tokens: dict[str, tuple[str, str, float]] = {}
        """Account, scope and end of life of each token."""
        self.keys = {ACCOUNT: account_key()}
        self.spent: dict[tuple[str, str], deque[float]] = {}
        self.counted: list[tuple[float, str]] = []
        """When each request was let through, and whether it was a read or a write."""
        self.refused_for_quota = 0

    @property
    def book(self) -> Book:
        return self.books[BOOK]

    def write_key(self, path: Path, **changes: Any) -> Path:
        """A key file as Google's console gives it, with the token server here."""
        pem = self.keys[ACCOUNT].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        parts = {
            "type": "service_account",
            "project_id": "carpus-test",
            "private_key_id": "0" * 40,
            "private_key": pem.decode(),
            "client_email": ACCOUNT,
            "client_id": "1",
            "token_uri": f"{self.url}/token",
        }
        path.write_text(json.dumps({**parts, **changes}))
        path.chmod(0o600)
        return path

    def busiest(self, kind: str) -> int:
        """The most requests of a kind (`read`, `write`) in any 60 seconds."""
        times = sorted(at_s for at_s, each in self.counted if each == kind)
        return max((sum(start <= at_s < start + 60 for at_s in times) for start in times), default=0)

    def reply(self, request: Request) -> Answer:
        if request.path == "/token":
            return self._token(request)
        match = re.fullmatch(r"/v4/spreadsheets/([^/:]+)(.*)", request.path)
        if match is None:
            return error_answer(404, "Requested entity was not found.")
        return self._with_rights(request, match[1]) or self._answered(request, match[1], match[2])

    def _with_rights(self, request: Request, book_id: str) -> Answer | None:
        """What keeps a request from being done; None: nothing."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        account, scope, until_s = self.tokens.get(token, ("", "", 0.0))
        if time.time() >= until_s:
            return error_answer(401, "Request had invalid authentication credentials.")
        kind = "read" if request.method == "GET" else "write"
        if kind == "write" and scope != SCOPE:
            return error_answer(403, "Request had insufficient authentication scopes.")
        if not self._spend(account, kind):
            return quota_answer(kind)
        if book_id not in self.books:
            return error_answer(404, "Requested entity was not found.")
        if self.books[book_id].shared.get(account) not in (("reader", "writer") if kind == "read" else ("writer",)):
            return error_answer(403, "The caller does not have permission")
        return None

    def _spend(self, account: str, kind: str) -> bool:
        """Count a request in any 60 seconds, not by the clock's minutes: no client may rely on the turn of one."""
        spent, now_s = self.spent.setdefault((account, kind), deque()), self.now()
        while spent and spent[0] <= now_s - 60:
            spent.popleft()
        if len(spent) >= PER_MINUTE:
            self.refused_for_quota += 1
            return False
        spent.append(now_s)
        self.counted.append((now_s, kind))
        return True

    def _answered(self, request: Request, book_id: str, rest: str) -> Answer:
        book = self.books[book_id]
        before = book.grids if request.method == "GET" else copied(book.grids)
        try:
            for method, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, rest)
                if match and method == request.method:
                    return Answer(200, answer(book, request, *map(unquote, match.groups())))
        except BadRequest as error:
            book.grids = before
            return error_answer(400, str(error))
        return error_answer(404, "Requested entity was not found.")

    def _token(self, request: Request) -> Answer:
        """A token for a signed claim, as RFC 7523 has it."""
        if request.form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return Answer(400, {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"})
        try:
            claims = self._verified(request.form["assertion"])
        except (ValueError, KeyError, InvalidSignature):
            return Answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        if claims["aud"] != AUDIENCE or not claims["iat"] - 300 < time.time() < claims["exp"]:
            return Answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT: wrong audience or time"})
        token = f"ya29.standin-{len(self.tokens)}"
        self.tokens[token] = (claims["iss"], claims["scope"], time.time() + 3599)
        return Answer(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def _verified(self, assertion: str) -> dict[str, Any]:
        head, body, signature = assertion.split(".")
        claims: dict[str, Any] = json.loads(_decoded(body))
        if json.loads(_decoded(head))["alg"] != "RS256":
            raise ValueError("not RS256")
        self.keys[claims["iss"]].public_key().verify(
            _decoded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        return claims


def get_values(book: Book, request: Request, place: str) -> dict[str, Any]:
    grid, box = book.find(place)
    grid.refuse_outside(Box(box.top, box.left, box.top + 1, box.left + 1), place)
    shown = request.query.get("valueRenderOption", ["FORMATTED_VALUE"])[0] == "FORMATTED_VALUE"
    values = grid.values(box, shown=shown)
    found: dict[str, Any] = {"range": place_of(grid, box), "majorDimension": "ROWS"}
    return {**found, "values": values} if values else found


def batch_get(book: Book, request: Request) -> dict[str, Any]:
    blocks = [get_values(book, request, place) for place in request.query.get("ranges", ())]
    return {"spreadsheetId": BOOK, "valueRanges": blocks}


def batch_update(book: Book, request: Request) -> dict[str, Any]:
    refuse_typed(request.json.get("valueInputOption"))
    done = [written(book, block["range"], block["values"]) for block in request.json["data"]]
    return {"spreadsheetId": BOOK, "totalUpdatedRows": sum(each["updatedRows"] for each in done), "responses": done}


def append(book: Book, request: Request, place: str) -> dict[str, Any]:
    """Below the table at a place: over what is there, or in rows that are inserted."""
    grid, box = book.find(place)
    refuse_typed(*request.query.get("valueInputOption", [""]))
    rows = request.json["values"]
    table = grid.table_at(box)
    if grid.filtered:
        return {"spreadsheetId": BOOK, "updates": {"updatedRange": place}}
    top, left = (table.bottom, table.left) if table else (box.top, box.left)
    if table and request.query.get("insertDataOption") == ["INSERT_ROWS"]:
        grid.insert_rows(top, len(rows))
    elif top + len(rows) > grid.rows:
        grid.rows = top + len(rows)
    taken = grid.write(Box(top, left, top + 1, left + 1), rows, place=place)
    found = {"spreadsheetId": BOOK, "updates": update_of(grid, taken)}
    return {**found, "tableRange": place_of(grid, table)} if table else found


def about(book: Book, request: Request) -> dict[str, Any]:
    """What the fields ask for; no other fields are known here."""
    sheets = [
        {
            "properties": {
                "sheetId": grid.id,
                "title": grid.title,
                "gridProperties": {"rowCount": grid.rows, "columnCount": grid.columns},
            }
        }
        for grid in book.grids
    ]
    return {"properties": {"timeZone": book.time_zone, "autoRecalc": book.auto_recalc}, "sheets": sheets}


def change(book: Book, request: Request) -> dict[str, Any]:
    """All of the requests or none."""
    replies = []
    for index, each in enumerate(request.json["requests"]):
        (kind, body), *others = each.items()
        if others or kind not in STRUCTURE:
            raise BadRequest(f"Invalid requests[{index}]: unknown")
        try:
            replies.append(STRUCTURE[kind](book, body) or {})
        except BadRequest as error:
            raise BadRequest(f"Invalid requests[{index}].{kind}: {error}") from None
    return {"spreadsheetId": BOOK, "replies": replies}


ROUTES: Sequence[tuple[str, str, Callable[..., Any]]] = (
    ("GET", "", about),
    ("POST", ":batchUpdate", change),
    ("GET", "/values:batchGet", batch_get),
    ("POST", "/values:batchUpdate", batch_update),
    ("POST", "/values/([^/]+):append", append),
)


def written(book: Book, place: str, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    grid, box = book.find(place)
    return update_of(grid, grid.write(box, rows, place=place))


def update_of(grid: Grid, box: Box) -> dict[str, Any]:
    height, width = box.bottom - box.top, box.right - box.left
    counts = {"updatedRows": height, "updatedColumns": width, "updatedCells": height * width}
    return {"spreadsheetId": BOOK, "updatedRange": place_of(grid, box), **counts}


def refuse_typed(option: str | None) -> None:
    """Refuse values that Google would read as if somebody typed them: no text may become a formula."""
    if option != "RAW":
        raise BadRequest(f"'valueInputOption' is {option}")


def error_answer(code: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(code, {"error": {"code": code, "message": message, "status": STATUS[code]}}, headers or {})


def quota_answer(kind: str) -> Answer:
    metric = f"{kind.title()} requests"
    return error_answer(
        429,
        f"Quota exceeded for quota metric '{metric}' and limit '{metric} per minute per user' of service "
        "'sheets.googleapis.com' for consumer 'project_number:1'.",
    )


@cache
def account_key() -> rsa.RSAPrivateKey:
    """One for all tests: to make one takes long. Half as long as Google's: to read one takes an eighth of the time."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
