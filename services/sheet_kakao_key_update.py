"""Write this host's Kakao access token to a sheet for the other hosts: `python -m services.sheet_kakao_key_update`.

It writes when the token has changed, and checks every ten minutes whether the row still exists; between that it sends
no requests. Only the access token is written, encrypted with KAKAO_SHEET_KEY (`--new-key` makes one).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any

from services.channel import NotDelivered
from services.kakao.sheet import (
    CELLS,
    HEADER,
    HEADER_CELLS,
    ROW_CELLS,
    SHEET_KEY,
    SharedToken,
    new_key,
    seal,
    tokens_in,
)
from services.kakao.state import locked_state
from services.kakao.tokens import ACCESS, AccessToken, Tokens, fingerprint, write_time
from services.kakao.turns import TurnResult, add_options, run_turns
from services.secrets import Secrets
from services.sheet_pull_kakao_key import TokenSheet, add_sheet_options, needed_key, token_sheet_of
from services.sheets.client import Sheets, in_tab
from services.sheets.errors import Rejected
from utils.errors import UserError
from utils.log import log_to_console
from utils.program import run_program

CHECK_EVERY_S = 600.0
"""Time between two checks of the row, which somebody may have emptied."""
STATE = "kakao_sheet"


def main() -> None:
    arguments = parse()
    log_to_console()
    if arguments.new_key:
        sys.stdout.write(f"{SHEET_KEY}={new_key()}\n")
        return
    secrets = Secrets(arguments.env_file)
    updater = Updater(secrets, token_sheet_of(arguments, secrets, readonly=False))
    run_turns("sheet_kakao_key_update", arguments, updater.turn)


class Updater:
    """Writes one row. A hash of its last content is saved for all turns on this host."""

    def __init__(self, secrets: Secrets, token_sheet: TokenSheet, now: Callable[[], float] = time.time) -> None:
        self.secrets, self.token_sheet, self.now = secrets, token_sheet, now
        self.tokens = Tokens(secrets)

    def turn(self) -> TurnResult:
        """Write the token if it is new. Raises `NotDelivered`, `Refused` and `UserError`."""
        # Without a change, the sheet is read only if the last check is too long ago.
        token, key = self._token(), needed_key(self.secrets)
        same = TurnResult(False, f"Kakao access token {fingerprint(token.value)} is in the sheet")
        stamp = sha256(f"{self.token_sheet.name} {key} {token.value}".encode()).hexdigest()
        last = self._remembered()
        if last.get("stamp") == stamp and 0 <= self.now() - last.get("looked_at_s", 0.0) < CHECK_EVERY_S:
            return same
        known = int(last.get("version", 0))
        version = self._bring(token, key, known)
        self._remember({"stamp": stamp, "looked_at_s": self.now(), "version": version or known})
        if version is None:
            return same
        return TurnResult(True, f"Kakao access token {fingerprint(token.value)} handed over as version {version}")

    def _bring(self, token: AccessToken, key: str, known: int) -> int | None:
        """Write the row unless it exists already; returns its version, or None if nothing was written."""
        sheets = self.token_sheet.sheets()
        good, _ = tokens_in(self._rows(sheets), key)
        if good and good[0].token == token.value:
            return None
        # The time as version is newer even if the sheet and the saved state are lost. If the clock was set back, the
        # last version plus 1 is.
        version = max(int(self.now()), known + 1, *(each.version + 1 for each in good[:1]))
        row = seal(SharedToken(token.value, token.expires_at_s, self.now(), version), key)
        tab = self.token_sheet.tab
        sheets.write(
            self.token_sheet.spreadsheet, {in_tab(tab, HEADER_CELLS): [list(HEADER)], in_tab(tab, ROW_CELLS): [row]}
        )
        return version

    def _rows(self, sheets: Sheets) -> list[list[str]]:
        try:
            return sheets.read(self.token_sheet.spreadsheet, [in_tab(self.token_sheet.tab, CELLS)])[0]
        except Rejected:
            sheets.add_tab(self.token_sheet.spreadsheet, self.token_sheet.tab, HEADER)
            return []

    def _token(self) -> AccessToken:
        token = self.tokens.access_token
        if token is None:
            raise UserError(f"{ACCESS} is not set. Log in once: python -m services.kakao login")
        if token.expires_at_s <= self.now():
            raise NotDelivered(
                f"the Kakao access token ran out at {write_time(token.expires_at_s)} "
                "(python -m services.refresh_kakao_token renews it)"
            )
        if token.expires_at_s == float("inf"):
            raise UserError(f"{ACCESS}_EXPIRES_AT is not set. Run once: python -m services.refresh_kakao_token")
        return token

    def _remembered(self) -> dict[str, Any]:
        with suppress(UserError), locked_state(STATE) as state:
            found = state.get(self.token_sheet.name)
            return found if isinstance(found, dict) else {}
        return {}

    def _remember(self, values: dict[str, Any]) -> None:
        with suppress(UserError), locked_state(STATE) as state:  # if it fails, the sheet is read in every turn
            state[self.token_sheet.name] = values


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.sheet_kakao_key_update",
        description="Hand this host's Kakao access token to the other hosts, sealed, through a Google sheet.",
    )
    parser.add_argument(
        "--new-key", action="store_true", help=f"print a new {SHEET_KEY} for the .env of every host, and end"
    )
    add_sheet_options(parser)
    add_options(parser, interval_s=30)
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
