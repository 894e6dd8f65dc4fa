"""Renew this host's Kakao token: `python -m services.refresh_kakao_token [--margin HOURS] [--loop]`.

A token lives 6 hours. Run the program every hour: it sends a request only if less than the margin is left, so a run
that fails does no harm. It is the only program that needs the refresh token, and runs on one host.
"""

from __future__ import annotations

import argparse
import time

from services.kakao.renewal import AUTH_URL
from services.kakao.tokens import MARGIN_S, Tokens, write_time
from services.kakao.turns import TurnResult, parser_of, run_turns
from services.secrets import Secrets, fingerprint
from utils.errors import UserError
from utils.log import log_to_console
from utils.program import run_program

LONGEST_MARGIN_H = 5.5
"""With a margin as long as a token's life, every turn would renew it."""


def main() -> None:
    arguments = parse()
    log_to_console()
    if not 0 < arguments.margin <= LONGEST_MARGIN_H:
        raise UserError(f"--margin: expected hours above 0 and at most {LONGEST_MARGIN_H}, got {arguments.margin:g}.")
    tokens = Tokens(Secrets(arguments.env_file), arguments.auth_url)
    run_turns("refresh_kakao_token", arguments, lambda: refresh(tokens, arguments.margin * 3600))


def refresh(tokens: Tokens, margin_s: float) -> TurnResult:
    """Renew the token if less than the margin is left. Raises `NotDelivered`, `Refused` and `UserError`."""
    found = tokens.renew(margin_s)
    left_h = (found.expires_at_s - time.time()) / 3600
    did = "renewed" if found.renewed else "still good"
    until = f"{write_time(found.expires_at_s)} ({left_h:.1f} h)"
    return TurnResult(found.renewed, f"Kakao access token {fingerprint(found.value)} {did}, until {until}")


def parse() -> argparse.Namespace:
    parser = parser_of("refresh_kakao_token", "Keep this host's Kakao access token alive.", interval_s=1800)
    margin_help = "renew with less than this left (default: %(default)g)"
    parser.add_argument("--margin", type=float, default=MARGIN_S / 3600, metavar="HOURS", help=margin_help)
    parser.add_argument("--auth-url", default=AUTH_URL, metavar="URL", help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
