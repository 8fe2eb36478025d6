"""The study of attackers: every figure has its line, beside the network that is the aim."""

from studies.attackers import METHODS, SHOWN, describe
from studies.tables import Row


def make_row(method: str, recall: float) -> Row:
    roles = ("original", "edited", "reference")
    return {
        "network": "lenet5",
        "method": method,
        "forget": 3,
        "seed": 0,
        "Acc_F": dict(zip(roles, (0.9, 0.0, 0.0), strict=True)),
        "ΔAcc_R": dict(zip(roles, (0.0, -0.01, 0.004), strict=True)),
        "measures": {"layers.head.recall_16": [0.9, recall, 0.75]},
        "s": 12.0,
    }


def test_a_line_has_means_and_the_worst_distance_from_retrained() -> None:
    page = describe(
        [make_row(METHODS[0], 0.9), make_row(METHODS[1], 0.70), make_row(METHODS[1], 0.76)]
    )
    (line,) = (each for each in page.splitlines() if each.startswith("| 16 images |"))
    cells = [each.strip() for each in line.strip("|").split("|")]
    assert cells[1:] == ["0.900", "0.900", "+0.150", "1", "0.730", "-0.050", "2", "0.750"]
    assert METHODS[2] not in page  # none of its runs is there yet
    assert all(f"| {title} |" in page for title in SHOWN.values())
    assert "| INT8, unmasked | - |" in page
    (seconds,) = (each for each in page.splitlines() if each.startswith("| seconds |"))
    assert "| 12 |" in seconds
