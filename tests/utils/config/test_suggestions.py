from __future__ import annotations

from utils.config.suggestions import did_you_mean, did_you_mean_of_all, nearest, valid


def test_nearest_comes_first() -> None:
    assert nearest("dice_bcee", ["bce", "dice", "dice_bce"], n=2) == ["dice_bce", "dice"]


def test_nothing_is_near_a_name_of_another_world() -> None:
    assert nearest("zebra", ["epochs", "batch_size"]) == []


def test_case_and_hyphens_do_not_count() -> None:
    assert nearest("Batch-Size", ["batch_size", "epochs"]) == ["batch_size"]


def test_a_beginning_is_near_however_long_the_rest() -> None:
    assert nearest("min", ["min_learning_rate", "weight"]) == ["min_learning_rate"]


def test_the_hint_names_one_or_lists_all() -> None:
    assert did_you_mean("epoch", ["epochs", "seed"]) == "Did you mean 'epochs'?"
    assert did_you_mean("zebra", ["epochs", "seed"]) == "Valid: epochs, seed"
    assert did_you_mean("zebra", []) == ""


def test_the_full_hint_has_the_name_and_the_list() -> None:
    assert did_you_mean_of_all("dic", ["focal", "dice"]) == "Did you mean 'dice'? Valid: dice, focal"


def test_a_long_list_is_cut_and_counted() -> None:
    assert valid(f"n{i}" for i in range(1000)).endswith(", … (1000 in all)")
