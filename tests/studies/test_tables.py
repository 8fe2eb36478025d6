from statistics import stdev

from studies.tables import group_rows, make_sections, pick_rows, write_spread

ROWS = [
    {"network": "mlp", "forget": "3", "Acc_R": 0.5},
    {"network": "lenet5", "forget": "3", "Acc_R": 0.25},
    {"network": "mlp", "forget": "0", "Acc_R": 1.0},
]


def test_groups_keep_the_order_of_their_first_rows() -> None:
    groups = group_rows(ROWS, "network")
    assert groups == {("mlp",): [ROWS[0], ROWS[2]], ("lenet5",): [ROWS[1]]}
    assert list(groups) == [("mlp",), ("lenet5",)]


def test_rows_are_picked_by_all_of_the_values() -> None:
    assert pick_rows(ROWS, network="mlp", forget="3") == [ROWS[0]]
    assert pick_rows(ROWS, network="resnet18") == []


def test_a_section_a_group() -> None:
    text = make_sections({("mnist", "mlp"): [{"Acc_R": 0.5, "runs": 2}]})
    assert text == "## mnist, mlp\n\n| Acc_R | runs |\n| --- | --- |\n| 0.5000 | 2 |"


def test_a_spread_leaves_out_what_was_not_measured() -> None:
    assert write_spread([0.0, None, 1.0], ".3f") == "0.500 ± 0.500"
    assert write_spread([0.0, 1.0], deviation=stdev) == "0.5000 ± 0.7071"
    assert write_spread([0.25, None]) == "0.2500"
    assert write_spread([None], missing="none") == "none"
