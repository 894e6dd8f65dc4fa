from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.channel import EventRefused, NotDelivered, Refused
from services.env_file import change_env
from services.kakao import missing
from services.kakao.api import QuotaExhausted
from services.secrets import Secrets, read_env
from tests.services.kakao.runs import END, NAMES, START, befriend, channel, queued, write_tokens
from tests.services.kakao.standin import HOUR_S, KakaoStandIn, error
from tests.standin import Answer, Fault
from utils.events import EpochEnded, FoldsJoined, ReportWritten, RunFailed, RunInterrupted, StepEnded

FOLDER = Path("runs/mine")
SEND = "/v1/api/talk/friends/message/default/send"
MESSAGE = {"object_type": "text", "text": "from elsewhere", "link": {}}
MEMO = "/v2/api/talk/memo/default/send"


@pytest.fixture(autouse=True)
def _tokens(tmp_path: Path, standin: KakaoStandIn) -> None:
    standin.now = lambda: 1_800_000_000.0
    write_tokens(tmp_path / ".env", standin)


def calls(standin: KakaoStandIn, path: str) -> int:
    return sum(request.path == path for request in standin.requests)


def turn(standin: KakaoStandIn, seconds: float) -> None:
    now = standin.now()
    standin.now = lambda: now + seconds


def test_a_memo_to_oneself(tmp_path: Path, standin: KakaoStandIn) -> None:
    kakao = channel(tmp_path, standin, language="ko", link_url="https://mlflow.example/")
    kakao.deliver(queued(START, standin))
    assert standin.texts_of("me") == [
        "▶️ mine 학습을 시작했습니다. 50 에폭, 이미지 640장, Tesla V100.\nv100-1, kim\nhttps://mlflow.example/"
    ]
    assert standin.templates[0]["button_title"] == "열기"


def test_seven_friends_are_told_in_two_calls(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, *NAMES[1:])
    channel(tmp_path, standin, friends=(*uuids, uuids[0])).deliver(queued(END, standin))
    assert [len(standin.texts_of(uuid)) for uuid in ("me", *uuids)] == [1] * 8
    assert (calls(standin, SEND), calls(standin, MEMO)) == (2, 1)


def test_only_start_end_and_error_are_its_business(tmp_path: Path, standin: KakaoStandIn) -> None:
    kakao = channel(tmp_path, standin)
    failed, stopped = RunFailed("mine", FOLDER, "x"), RunInterrupted("mine", FOLDER, 1, 1, "x")
    joined = FoldsJoined("mine", FOLDER, 5, 0.9, 0.1, FOLDER)
    assert all(kakao.accepts(event) and kakao.must_arrive(event) for event in (START, END, joined, failed, stopped))
    best = EpochEnded(0, 2, 1.0, 0.5, {}, {}, 0.0, is_best=True)
    assert not any(
        kakao.accepts(event) for event in (best, StepEnded(0, 1, 2, None), ReportWritten("", FOLDER, FOLDER, {}))
    )
    quiet = channel(tmp_path, standin, events=("error",))
    assert [quiet.accepts(event) for event in (START, END, joined, failed, stopped)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    def of(settings: dict[str, object], **environment: str) -> str | None:
        return missing(Secrets(tmp_path / "none", environment), settings)

    assert of({}) == "KAKAO_ACCESS_TOKEN is not set"
    assert of({}, KAKAO_ACCESS_TOKEN="x") is None
    assert of({}, KAKAO_REFRESH_TOKEN="x") is not None
    assert of({}, KAKAO_REFRESH_TOKEN="x", KAKAO_REST_API_KEY="y") is None
    assert "nobody to write to" in str(of({"to_me": False}, KAKAO_ACCESS_TOKEN="x"))
    assert of({"to_me": False, "friends": ("u",)}, KAKAO_ACCESS_TOKEN="x") is None


# Tokens


def test_a_token_that_ran_out_is_renewed_and_the_message_sent_once(tmp_path: Path, standin: KakaoStandIn) -> None:
    turn(standin, 7 * HOUR_S)
    channel(tmp_path, standin).deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == 1
    assert read_env(tmp_path / ".env")["KAKAO_ACCESS_TOKEN"] in standin.access


def test_a_token_that_somebody_has_put_there_meanwhile_is_taken(tmp_path: Path, standin: KakaoStandIn) -> None:
    write_tokens(tmp_path / ".env", standin, with_refresh=False)
    kakao = channel(tmp_path, standin)
    kakao.deliver(queued(START, standin))
    standin.access.clear()
    write_tokens(tmp_path / ".env", standin, with_refresh=False)
    kakao.deliver(queued(END, standin, "e2"))
    assert len(standin.texts_of("me")) == 2
    assert calls(standin, "/oauth/token") == 0


def test_a_host_without_a_refresh_token_waits_for_the_next_token(tmp_path: Path, standin: KakaoStandIn) -> None:
    (tmp_path / ".env").unlink()
    write_tokens(tmp_path / ".env", standin, with_refresh=False)
    turn(standin, 7 * HOUR_S)
    kakao = channel(tmp_path, standin)
    with pytest.raises(NotDelivered, match="no newer one yet"):
        kakao.deliver(queued(START, standin))
    write_tokens(tmp_path / ".env", standin, with_refresh=False)
    kakao.deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == 1


def test_a_refresh_token_alone_is_enough(tmp_path: Path, standin: KakaoStandIn) -> None:
    change_env(tmp_path / ".env", {"KAKAO_ACCESS_TOKEN": "", "KAKAO_ACCESS_TOKEN_EXPIRES_AT": ""})
    channel(tmp_path, standin).deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == 1


def test_a_token_that_is_refused_though_new_is_not_asked_for_again_and_again(
    tmp_path: Path, standin: KakaoStandIn
) -> None:
    standin.fail(Fault("answer", Answer(401, {"msg": "no", "code": -401})))
    standin.faults.extend([None, Fault("answer", Answer(401, {"msg": "no", "code": -401}))])  # type: ignore[list-item]
    with pytest.raises(NotDelivered, match=r"^KakaoTalk does not accept the access token, not even the newest"):
        channel(tmp_path, standin).deliver(queued(START, standin))
    assert calls(standin, "/oauth/token") == 1


def test_a_dead_refresh_token_is_told_with_the_way_out(tmp_path: Path, standin: KakaoStandIn) -> None:
    turn(standin, 7 * HOUR_S)
    standin.refresh.clear()
    with pytest.raises(Refused, match=r"Log in: python -m services\.kakao login"):
        channel(tmp_path, standin).deliver(queued(START, standin))


def test_a_lost_answer_of_the_login_is_no_lost_message(tmp_path: Path, standin: KakaoStandIn) -> None:
    turn(standin, 7 * HOUR_S)
    kakao = channel(tmp_path, standin)
    standin.faults.extend([None, Fault("reset")])  # type: ignore[list-item]
    with pytest.raises(NotDelivered):
        kakao.deliver(queued(START, standin))
    kakao.deliver(queued(START, standin))
    assert calls(standin, "/v1/user/access_token_info") == 0
    assert len(standin.texts_of("me")) == 1


# Partial success


def test_who_cannot_be_reached_is_left_out_and_said_once(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    uuids = befriend(standin, "ann", "bob", "dana")
    standin.friends[1].code = -530
    kakao = channel(tmp_path, standin, friends=(*uuids, "uuid-stranger"))
    kakao.deliver(queued(START, standin))
    channel(tmp_path, standin, friends=(*uuids, "uuid-stranger")).deliver(queued(END, standin, "e2"))
    assert [len(standin.texts_of(uuid)) for uuid in uuids] == [2, 0, 2]
    assert json.loads(standin.requests[-1].form["receiver_uuids"]) == [uuids[0], uuids[2]]
    assert caplog.messages == [
        "kakao: uuid-bob is left out for the rest of this run: "
        "KakaoTalk says that the receiver blocks messages of this app (-530)",
        "kakao: uuid-stranger is left out for the rest of this run: "
        "KakaoTalk says that this is no friend of the sender (-502)",
    ]


def test_what_fails_for_some_is_tried_once_more_for_them_alone(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    uuids = befriend(standin, "ann", "bob", "dana")
    standin.friends[1].code = standin.friends[2].code = -1
    kakao = channel(tmp_path, standin, friends=uuids)
    with pytest.raises(NotDelivered, match="not reached 2 of 3 friends"):
        kakao.deliver(queued(START, standin))
    standin.friends[1].code = None
    with pytest.raises(NotDelivered, match="not reached 1 of 3 friends"):
        kakao.deliver(queued(START, standin))
    kakao.deliver(queued(START, standin))
    assert [len(standin.texts_of(uuid)) for uuid in ("me", *uuids)] == [1, 1, 1, 0]
    assert caplog.messages == ["kakao: two tries brought no answer to go by; whether uuid-dana arrived is not known"]


def test_one_whom_the_answer_forgets_is_tried_once_more(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, "ann", "bob")
    kakao = channel(tmp_path, standin, friends=uuids, to_me=False)
    standin.fail(Fault("answer", Answer(200, {"successful_receiver_uuids": [uuids[0]]})))
    with pytest.raises(NotDelivered):
        kakao.deliver(queued(START, standin))
    kakao.deliver(queued(START, standin))
    assert [len(standin.texts_of(uuid)) for uuid in uuids] == [0, 1]


# Quota


@pytest.mark.parametrize("code", [-10, -531, -532])
@pytest.mark.parametrize("in_list", [False, True])
def test_a_sender_without_quota_sends_to_friends_tomorrow(
    tmp_path: Path, standin: KakaoStandIn, monkeypatch: pytest.MonkeyPatch, code: int, in_list: bool
) -> None:
    uuids = befriend(standin, "ann")
    kakao = channel(tmp_path, standin, friends=uuids, to_me=False)
    standin.now = lambda: 1_800_025_200.0 + 22 * HOUR_S  # midnight in Korea, and 22 hours
    monkeypatch.setattr("services.kakao.api.time.time", lambda: standin.now())
    failure = {"failure_info": [{"code": code, "msg": "no", "receiver_uuids": uuids}]}
    standin.fail(Fault("answer", Answer(200, failure) if in_list else error(400, code)))
    with pytest.raises(QuotaExhausted) as caught:
        kakao.deliver(queued(START, standin))
    assert caught.value.retry_after_s == 2 * HOUR_S
    kakao.deliver(queued(START, standin))
    assert len(standin.texts_of(uuids[0])) == 1
    assert calls(standin, "/v1/user/access_token_info") == 0, "nothing was lost"


@pytest.mark.parametrize("code", [-532, -402, -5])
def test_friends_that_cannot_be_told_stop_no_memo(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    kakao = channel(tmp_path, standin, friends=befriend(standin, "ann", "bob"))
    for id in ("e1", "e2"):
        standin.faults.extend([None, Fault("answer", error(400, code))])  # type: ignore[list-item]
        kakao.deliver(queued(START, standin, id))
    assert len(standin.messages) == 2
    assert all("only you are told of this" in message for message in caplog.messages)


@pytest.mark.parametrize("code", [-533, -536])
def test_a_receiver_without_quota_gets_the_next_message(tmp_path: Path, standin: KakaoStandIn, code: int) -> None:
    uuids = befriend(standin, "ann", "bob")
    standin.friends[0].code = code
    kakao = channel(tmp_path, standin, friends=uuids, to_me=False)
    kakao.deliver(queued(START, standin))
    standin.friends[0].code = None
    kakao.deliver(queued(END, standin, "e2"))
    assert [len(standin.texts_of(uuid)) for uuid in uuids] == [1, 2]


# Faults


@pytest.mark.parametrize(
    "fault",
    [
        Fault("answer", Answer(500, "<html>")),
        Fault("answer", Answer(429, {"msg": "slow down", "code": -99}, {"Retry-After": "9"})),
        Fault("answer", error(400, -1)),
        Fault("answer", error(503, -9798)),
        Fault("answer", error(400, -7)),
        Fault("answer", Answer(302, "", {"Location": "/v1/user/access_token_info"})),
        Fault("answer", Answer(407, "proxy")),
    ],
)
def test_what_was_surely_not_heard_is_sent_as_often_as_need_be(
    tmp_path: Path, standin: KakaoStandIn, fault: Fault
) -> None:
    kakao = channel(tmp_path, standin)
    for _ in range(4):
        standin.fail(fault)
        with pytest.raises(NotDelivered) as caught:
            kakao.deliver(queued(START, standin))
        assert caught.value.retry_after_s == (9.0 if fault.answer.status == 429 else None)
    kakao.deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == 1
    assert calls(standin, "/v1/user/access_token_info") == 0


LOST = [
    Fault("reset_after"),
    Fault("reset"),
    Fault("answer", Answer(200, "<html>")),
    Fault("answer", Answer(200, {"result_code": 1})),
    Fault("answer", error(400, -603)),
]


@pytest.mark.parametrize("fault", LOST)
def test_a_message_whose_answer_is_lost_is_sent_once_more(tmp_path: Path, standin: KakaoStandIn, fault: Fault) -> None:
    standin.fail(fault)
    with pytest.raises(NotDelivered):
        channel(tmp_path, standin).deliver(queued(START, standin))
    channel(tmp_path, standin).deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == (2 if fault.kind == "reset_after" else 1)
    assert calls(standin, "/v1/user/access_token_info") == 1


def test_a_service_that_dies_between_two_calls_finishes_what_is_left(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, *NAMES[1:])
    standin.faults.extend([None, None, Fault("answer", Answer(503, "down"))])  # type: ignore[list-item]
    with pytest.raises(NotDelivered):
        channel(tmp_path, standin, friends=uuids).deliver(queued(END, standin))
    channel(tmp_path, standin, friends=uuids).deliver(queued(END, standin))
    assert [len(standin.texts_of(uuid)) for uuid in ("me", *uuids)] == [1] * 8


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error(403, -3), "consent item"),
        (error(403, -5), "no permission"),
        (error(400, -11), "paid quota"),
        (error(400, -101), "not linked"),
        (error(400, -103), "dormant"),
        (error(400, -501), "Log in"),
    ],
)
def test_what_only_a_person_can_mend_is_a_sentence(
    tmp_path: Path, standin: KakaoStandIn, answer: Answer, words: str
) -> None:
    standin.fail(Fault("answer", answer))
    with pytest.raises(Refused, match=words) as caught:
        channel(tmp_path, standin).deliver(queued(START, standin))
    assert str(caught.value).endswith((".", "login"))


def test_missing_consent_is_told_with_the_address_to_agree_at(tmp_path: Path, standin: KakaoStandIn) -> None:
    standin.consented = {"profile"}
    with pytest.raises(Refused, match=f"{standin.url}/oauth/authorize.*scope=talk_message,friends") as caught:
        channel(tmp_path, standin).deliver(queued(START, standin))
    assert standin.rest_api_key not in str(caught.value)


@pytest.mark.parametrize("code", [-2, -4000])
def test_a_memo_that_kakao_does_not_accept_is_that_event_s_fault_alone(
    tmp_path: Path, standin: KakaoStandIn, code: int
) -> None:
    standin.fail(Fault("answer", error(400, code)))
    kakao = channel(tmp_path, standin)
    with pytest.raises(EventRefused, match=rf"it said: scripted \({code}\)"):
        kakao.deliver(queued(START, standin))
    kakao.deliver(queued(END, standin, "e2"))
    assert len(standin.texts_of("me")) == 1


def test_an_own_chat_that_cannot_be_reached_costs_no_friend_a_message(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    (ann,) = befriend(standin, "ann")
    kakao = channel(tmp_path, standin, friends=(ann,))
    standin.fail(Fault("answer", error(400, -530)))
    for id in ("e1", "e2"):
        kakao.deliver(queued(START, standin, id))
    assert (len(standin.texts_of("me")), len(standin.texts_of(ann)), calls(standin, MEMO)) == (0, 2, 1)
    assert "@me is left out for the rest of this run" in caplog.text


@pytest.mark.parametrize("in_list", [False, True])
def test_one_friend_that_kakao_does_not_allow_costs_nobody_else_a_message(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture, in_list: bool
) -> None:
    uuids = befriend(standin, "ann", "bob", "dana")
    standin.friends[1].code, standin.whole_call_fails = -2, not in_list
    kakao = channel(tmp_path, standin, friends=uuids)
    kakao.deliver(queued(START, standin))
    kakao.deliver(queued(END, standin, "e2"))
    assert [len(standin.texts_of(uuid)) for uuid in ("me", *uuids)] == [2, 2, 0, 2]
    (said,) = caplog.messages
    assert said.startswith(
        "kakao: uuid-bob is left out for the rest of this run: KakaoTalk does not accept the request"
    )


def test_one_s_own_uuid_among_the_friends_is_named(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    (ann,) = befriend(standin, "ann")
    channel(tmp_path, standin, friends=(ann, "me")).deliver(queued(START, standin))
    assert (len(standin.texts_of("me")), len(standin.texts_of(ann))) == (1, 1)
    assert "me is left out for the rest of this run: KakaoTalk says that" in caplog.text
    assert "holds your own uuid" in caplog.text
