"""audit on a detector, the part that needs torch: the attacks, in their order."""

from nhle_onnx.auditing.detection.context import DetectorContext
from nhle_onnx.auditing.detection.probe import attack_by_probe
from nhle_onnx.auditing.detection.rebuilding import attack_by_rebuilding
from nhle_onnx.auditing.detection.relearning import attack_by_relearning
from nhle_onnx.auditing.detection.unmasking import attack_by_unmasking
from nhle_onnx.training.device import explain_device_faults
from nhle_onnx.values.audit import Measure
from nhle_onnx.workflows.attack_runs import Attack, Tools, make_attack


@explain_device_faults()
def _relearn(context: DetectorContext, tools: Tools) -> tuple[Measure, ...]:
    return attack_by_relearning(context, tools.device, tools.curves, tools.on_step)


# To add an attack, write a file in `auditing/detection/` and add a row.
ATTACKS: dict[str, Attack[DetectorContext]] = {
    "unmasking": make_attack(attack_by_unmasking),
    "rebuilding": make_attack(attack_by_rebuilding, varies=True),
    "probe": make_attack(attack_by_probe, varies=True),
    "relearning": Attack(_relearn, effort="standard"),
}
