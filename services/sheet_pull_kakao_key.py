"""Read the Kakao access token that another host renews: `python -m services.sheet_pull_kakao_key [--loop]`.

One request per turn. It changes KAKAO_ACCESS_TOKEN, its ..._EXPIRES_AT and its ..._VERSION in the `.env` and nothing
else there, and only if the token in the sheet is newer and has not expired.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from services.channel import NotDelivered
from services.env_file import env_lock, write_env
from services.kakao.sheet import SharedToken, TokenSheet, add_sheet_options, token_sheet_of
from services.kakao.tokens import ACCESS, read_time, write_time
from services.kakao.turns import TurnResult, parser_of, run_turns
from services.secrets import EXPIRES_AT, VERSION, Secrets, fingerprint
from utils.log import log_to_console
from utils.program import run_program


def main() -> None:
    arguments = parse()
    log_to_console()
    secrets = Secrets(arguments.env_file)
    puller = Puller(secrets, token_sheet_of(arguments, secrets, readonly=True))
    run_turns("sheet_pull_kakao_key", arguments, puller.turn)


class Puller:
    """Reads the row, and writes the `.env` if the row's token is newer."""

    def __init__(self, secrets: Secrets, token_sheet: TokenSheet, now: Callable[[], float] = time.time) -> None:
        self.secrets, self.token_sheet, self.now = secrets, token_sheet, now

    def turn(self) -> TurnResult:
        """Write the newest token to the `.env`. Raises `NotDelivered`, `Refused` and `UserError`."""
        good, bad = self.token_sheet.read()
        found = next((each for each in good if each.expires_at_s > self.now()), None)
        if found is None:
            raise NotDelivered(f"the tab {self.token_sheet.tab} holds no token that will do: {_why_not(good, bad)}")
        with env_lock(self.secrets.env_file):
            if not self._is_newer(found):
                said = f"Kakao access token is the newest, version {found.version} of the sheet is known"
                return TurnResult(False, said)
            until = write_time(found.expires_at_s)
            write_env(self.secrets.env_file, {ACCESS: found.token, EXPIRES_AT: until, VERSION: str(found.version)})
        return TurnResult(True, f"Kakao access token {fingerprint(found.token)} taken over, good until {until}")

    def _is_newer(self, found: SharedToken) -> bool:
        """Whether a token is newer than the one in the `.env`, which this host may have renewed itself."""
        expires_at_s = read_time(self.secrets.newest(EXPIRES_AT))
        version = self.secrets.newest(VERSION) or ""
        if self.secrets.newest(ACCESS) is None or expires_at_s is None:
            return True
        return found.expires_at_s > expires_at_s and found.version > (int(version) if version.isdecimal() else 0)


def _why_not(good: list[SharedToken], bad: list[str]) -> str:
    if good:
        return f"the newest ran out at {write_time(good[0].expires_at_s)}"
    return "; ".join(bad) or "nothing is there (python -m services.sheet_kakao_key_update writes it)"


def parse() -> argparse.Namespace:
    description = "Take over the Kakao access token that another host renews, from a Google sheet."
    parser = parser_of("sheet_pull_kakao_key", description, interval_s=30)
    add_sheet_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
