from __future__ import annotations

import sys

import pytest

from models.__main__ import main
from utils.errors import UserError


def test_listing_names_architectures_and_matching_encoders(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["models", "hrnet_w4*"])
    main()
    written = capsys.readouterr().out
    assert "unetplusplus" in written
    assert "  tu-hrnet_w48\n" in written
    assert "resnet34" not in written


def test_a_pattern_without_matches_names_the_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["models", "hrnet_w84"])
    with pytest.raises(UserError, match=r"No encoder matches 'hrnet_w84'. Near: .*tu-hrnet_w48"):
        main()
