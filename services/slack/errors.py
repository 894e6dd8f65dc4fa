"""Slack's error codes as exceptions: a sentence for a person, a message to be posted anew, or another try later."""

from __future__ import annotations

from services.channel import NotDelivered, Refused


class MessageGone(Exception):
    """The message to be edited or replied to does not exist, or cannot be edited any more."""


class MessageNotTaken(Exception):
    """The message is too long for Slack, or its blocks are invalid."""


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


def fault_of(call: str, code: str, *, channel: str, needed: str = "") -> Exception:
    """The exception for an error code that Slack answered `call` with."""
    if code in SENTENCES:
        return Refused(SENTENCES[code].format(channel=channel, needed=needed or "chat:write or files:write"))
    if code in GONE:
        return MessageGone(code)
    return MessageNotTaken(code) if code in TOO_MUCH else NotDelivered(f"{call}: Slack answered {code[:80]}")
