from statistics import stdev

from studies.tables import group_rows, make_sections, make_table, pick_rows, write_spread

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


def test_a_wide_table_is_divided_and_says_again_what_names_a_row() -> None:
    rows = [
        {"dataset": "mnist", "network": name, **{f"figure {place}": 0.5 for place in range(10)}}
        for name in ("mlp", "lenet5")
    ]
    parts = make_table(rows).split("\n\n")
    heads = [part.splitlines()[0].strip("| ").split(" | ") for part in parts]
    assert [len(head) for head in heads] == [7, 7]
    assert all(head[:2] == ["dataset", "network"] for head in heads)
    assert [name for head in heads for name in head[2:]] == list(rows[0])[2:]
    assert [part.splitlines()[3].split(" | ")[1] for part in parts] == ["lenet5", "lenet5"]


def test_a_wide_table_without_names_repeats_its_first_column() -> None:
    parts = make_table([{str(place): place for place in range(12)}]).split("\n\n")
    assert [part.splitlines()[2] for part in parts] == [
        "| 0 | 1 | 2 | 3 | 4 | 5 | 6 |", "| 0 | 7 | 8 | 9 | 10 | 11 |"
    ]  # fmt: skip


def test_a_spread_leaves_out_what_was_not_measured() -> None:
    assert write_spread([0.0, None, 1.0], ".3f") == "0.500 ± 0.500"
    assert write_spread([0.0, 1.0], deviation=stdev) == "0.5000 ± 0.7071"
    assert write_spread([0.25, None]) == "0.2500"
    assert write_spread([None], missing="none") == "none"
