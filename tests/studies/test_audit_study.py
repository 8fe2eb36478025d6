"""The study of audits: every way to forget has its line, beside the network that is the aim."""

from studies.audit import APPROACHES, RETRAINED, SHOWN, describe
from studies.tables import Row


def make_row(method: str, probe: float, *, passed: bool = True) -> Row:
    return {
        "network": "lenet5",
        "method": method,
        "forget": 3,
        "seed": 0,
        "Acc_F": 0.0,
        "ΔAcc_R": 0.001,
        "measures": {"probe.recall": probe},
        "positions": {},
        "passed": passed,
    }


def test_page_has_a_line_for_each_method_and_counts_what_passed() -> None:
    rows = [make_row(method, 0.5) for method in (*APPROACHES, RETRAINED)]
    rows += [make_row("nhle-onnx", 0.7, passed=False)]
    page = describe(rows)
    for method in (*APPROACHES, RETRAINED):
        assert f"| {method} |" in page
    parts = [line for line in page.splitlines() if line.startswith("| nhle-onnx |")]
    assert any("0.600 ± 0.100" in line for line in parts)
    assert parts[-1].endswith("| 1 of 2 |")
    assert all(title in page for title in SHOWN.values())


def test_an_attack_that_did_not_run_leaves_a_dash() -> None:
    page = describe([make_row("original", 0.8)])
    assert "| - |" in page
