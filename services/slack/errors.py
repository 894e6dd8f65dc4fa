"""Slack's error codes as exceptions: a sentence for a person, a message to be posted anew, a file to be left out, or
another try later. Each method's page lists its codes: https://docs.slack.dev/reference/methods/"""

from __future__ import annotations

from services.channel import EventRefused, NotDelivered, Refused
from utils.redact import redact


class MessageGone(Exception):
    """The message to be edited or replied to does not exist, or cannot be edited any more."""


class MessageNotTaken(Exception):
    """The message is too long for Slack, or its blocks are invalid."""


class FileRefused(Exception):
    """Slack does not take a file; the message says why, in a few words."""


RETRY_AFTER_S = 30.0
"""The pause if a rate limit does not say how long to wait."""
COPY_TOKEN = "Copy the Bot User OAuth Token (xoxb-…) of the app anew, from OAuth & Permissions."
SENTENCES = {
    "not_authed": f"SLACK_BOT_TOKEN: Slack was given no token. {COPY_TOKEN}",
    "invalid_auth": f"SLACK_BOT_TOKEN: Slack does not know this token. {COPY_TOKEN}",
    "token_revoked": f"SLACK_BOT_TOKEN: this token was revoked. Install the app again. {COPY_TOKEN}",
    "token_expired": f"SLACK_BOT_TOKEN: this token has expired. Switch token rotation off in the app. {COPY_TOKEN}",
    "account_inactive": "SLACK_BOT_TOKEN: the app was removed from the workspace, or that is gone. Install the app "
    f"again. {COPY_TOKEN}",
    "not_allowed_token_type": f"SLACK_BOT_TOKEN: this is another kind of token. {COPY_TOKEN}",
    "channel_not_found": "services.slack.channel={channel}: Slack shows the app no such channel. Give the channel's ID "
    "(C…, at the end of its details), and invite the app if the channel is private: /invite @carpus",
    "not_in_channel": "services.slack.channel={channel}: the app is not in this channel. Invite it: /invite @carpus "
    "(the scope chat:write.public is enough for messages, not for files).",
    "is_archived": "services.slack.channel={channel}: this channel is archived. Reopen it, or name another.",
    "restricted_action": "services.slack.channel={channel}: only some may post there. Let the app, or name another.",
    "missing_scope": "SLACK_BOT_TOKEN: the app lacks the scope {needed}. Add it in OAuth & Permissions, install the app"
    " again, and use the token that is shown then.",
    "ekm_access_denied": "SLACK_BOT_TOKEN: an administrator has suspended posting to this workspace. Ask them.",
    "access_denied": "SLACK_BOT_TOKEN: this token may not do that. Ask an administrator of the workspace.",
    "no_permission": "SLACK_BOT_TOKEN: the workspace does not let this app post. Ask an administrator.",
    "team_access_not_granted": "SLACK_BOT_TOKEN: the workspace does not allow this app. Ask an administrator.",
    "unknown_method": "services.slack.base_url: what answers there is not Slack. Leave it out, or mend it.",
}
"""Sentences by error code for faults that a person must fix."""

GONE = frozenset(
    ("message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed", "invalid_thread_ts")
)
TOO_MUCH = frozenset(
    ("invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "metadata_too_large")
)


LATER = frozenset(
    (
        *("fatal_error", "internal_error", "service_unavailable", "request_timeout", "team_added_to_org"),
        *("accesslimited", "org_login_required", "two_factor_setup_required"),
    )
)
"""Codes of faults that pass."""
OF_FILES = {
    "file_uploads_disabled": "the workspace allows no uploads",
    "file_uploads_except_images_disabled": "the workspace allows no uploads but images",
    "file_type_not_allowed": "the workspace does not allow this type of file",
    "file_upload_size_restricted": "the workspace does not allow files of this size",
    "storage_limit_reached": "the workspace has no storage left",
    "snippet_too_large": "the text is too long",
    "missing_scope": "the app lacks the scope {needed}; add it, install the app again, and use the token shown then",
    "not_in_channel": "the app is not in the channel; invite it: /invite @carpus",
    "posting_to_channel_denied": "the app may not post files there",
    "restricted_action": "the app may not post files there",
}
"""Why a file is refused, by error code."""
BAD_TOKEN = frozenset(
    (
        *("not_authed", "invalid_auth", "token_revoked", "token_expired", "account_inactive", "unknown_method"),
        *("not_allowed_token_type", "team_access_not_granted"),
    )
)
"""Codes that hold for every request, also for a message without files."""


def fault_of(call: str, code: str, *, channel: str, needed: str = "") -> Exception:
    """The exception for an error code that Slack answered `call` with. An unknown code concerns this event alone."""
    code = redact(code)
    if code in GONE:
        return MessageGone(code)
    if code in LATER:
        return NotDelivered(f"{call}: Slack answered {code}")
    if call.startswith("files.") and code not in BAD_TOKEN:
        words = OF_FILES.get(code, "Slack did not take it").format(needed=needed or "files:write")
        return FileRefused(f"{words} ({code[:80]})")
    if code in SENTENCES:
        return Refused(SENTENCES[code].format(channel=channel, needed=needed or "chat:write"))
    return MessageNotTaken(code) if code in TOO_MUCH else EventRefused(f"{call}: Slack answered {code[:80]}")
