"""The figures of the study of coverage."""

from tools.coverage import LIMIT, summarize


def make_file(branches: int, covered: int) -> dict[str, dict[str, int]]:
    return {"summary": {"num_branches": branches, "covered_branches": covered}}


def test_branches_are_counted_by_part() -> None:
    rows = {
        row["part"]: row
        for row in summarize(
            {
                "toolkit/nhle_onnx/cli/first.py": make_file(30, 20),
                "toolkit/nhle_onnx/cli/deep/second.py": make_file(10, 10),
                "toolkit/nhle_onnx/graph/third.py": make_file(1000, 1000),
                "toolkit/nhle_onnx/text.py": make_file(0, 0),
            }
        )
    }
    assert list(rows) == ["cli", "graph", "text.py", "all"]
    assert (rows["cli"]["branches"], rows["cli"]["covered"], rows["cli"]["share"]) == (40, 30, 0.75)
    assert rows["text.py"]["share"] == 1.0
    assert rows["all"]["share"] == 1030 / 1040 > LIMIT
    assert [row["passed"] for row in rows.values()] == [False, True, True, True]
