"""What each check and each figure of an attack says, for readers who train no networks."""

import re
from collections.abc import Mapping, Sequence

from nhle_onnx.release.rows import name_measure
from nhle_onnx.values.audit import Measure

# by the name of a check
CHECKS: Mapping[str, str] = {
    "after.acc_f": "Images of the forgotten classes that are still recognised",
    "acc_f": "Images of the forgotten classes that are still recognised",
    "delta_acc_r": "Change of the accuracy on the other classes",
    "unmasked.acc_f": "Recognised when the original head is put back",
    "known_before": "Recognised before forgetting: had the model known the class?",
    "skill_after": "How well the other classes are told apart, from 0 to 1",
    "skill_before": "How well the classes were told apart before, from 0 to 1",
    "after.ap_f": "Average precision of the forgotten classes",
    "after.detected": "Objects of the forgotten classes that are still detected",
    "delta_map_r": "Change of the mean average precision of the other classes",
    "unmasked.ap_f": "Average precision when the original class channels are put back",
    "before.ap_f": "Average precision before forgetting: had the model known the class?",
    "tensors_changed_outside_scope": "Weights that changed but were to stay",
    "graph_changes": "Changes of the graph's structure",
    "growth_bytes": "Bytes by which the file grew",
}

# by the name of a figure, or else by the attack and the kind of figure, or else by the attack
_FIGURES: Mapping[str, str] = {
    "unmasking.original_head": "The head of the original is put back. If the class is only hidden "
    "in the output, it is recognised again at once.",
    "unmasking.rebuilt_row": "The head's row of the class is computed again from a few images of "
    "it. A class that still forms a group of its own in the features comes back.",
    "unmasking.ap_f": "The class channels of the original are put back. If the class is only "
    "hidden in the output, it is detected again at once.",
    "rebuilding.ap_f": "New class channels are fitted to the features of locations that show the "
    "class, in half of the images. A class that still stands out in the features comes back.",
    "probe.balanced_accuracy": "A linear classifier is trained to tell locations that show the "
    "class from others by their features. A coin gets 50 %.",
    "probe.location_recall": "How many of the locations that show the class that classifier finds.",
    "relearning.steps_to": "The whole network is trained on images of the class again. Fewer steps "
    "mean that more of it was left.",
    "relearning.mean_ap_f": "How precisely the class is detected while it is trained again.",
    "separability.inter": "How far the class lies from the other classes in the features.",
    "separability.intra": "How far images of the class lie from their own centre.",
    "shadows": "The same attack on small networks that never saw the class. What they show of it, "
    "any network would.",
    "separability": "How far the class lies from the others in the features, compared with its own "
    "spread. More means that it is easier to tell apart.",
    "probe": "A new head is trained on the features with images of every class. It shows "
    "what the features still tell about the class.",
    "relearning.steps": "The whole network is trained on images of the class again. Fewer steps "
    "mean that more of it was left.",
    "relearning.mean_acc_f": "How well the class is recognised during the first steps of training "
    "it again.",
    "relearning.ain": "Steps of relearning, divided by those of a model that never saw the class; "
    "1 is as slow as that model.",
    "membership.true_alarms": "How many images of the training set an attacker finds, if at "
    "most 1 % of the other images may be taken for members. Guessing finds 1 %.",
    "membership": "An attacker tries to tell images of the training set from others by the model's "
    "answers. A coin gets 50 %.",
    "divergence.zrf": "How much the answers to forgotten images resemble those of an untrained "
    "network.",
    "divergence.js_to_reference": "How far the answers to forgotten images are from those of the "
    "retrained model; 0 is equal.",
    "quantization": "The weights are rounded, as for a smaller device. Forgetting that depends on "
    "tiny changes of the weights would be undone.",
    "traces.outlier": "How far the row of the class stands out in the head, which would tell a "
    "reader of the file which class was removed.",
    "traces.guessed": "Whether the removed class can be guessed from the head's weights alone.",
    "outputs": "Whether somebody who can only ask the model finds out which class was removed: the "
    "one that it never answers.",
    "difference.named_by_patch": "Whether the patch says in words which class it removes.",
    "difference": "Whether somebody who has the model before and after finds out which class was "
    "removed: the one for which most has changed.",
    "neighbours": "No attack: the accuracy on images of other classes that look most like the "
    "forgotten one. Damage by forgetting shows here first.",
    "closeness": "No attack: are the answers to forgotten images more like the retrained model's "
    "than like the original's? A small figure says yes, a large one leaves it open. It looks at "
    "answers only, so it cannot tell forgetting from hiding.",
    "layers.recall": "A new head is trained on what this layer reads, with so many images of each "
    "class. With few images it tells models apart best: with many, it learns the class even from "
    "features of a model that never saw it.",
    "layers.cka": "How much of what this layer made of the class is as in the original; 1 is all "
    "of it.",
    "perturbation": "The head of the original is put back, and each image of the class is changed "
    "so little that a person hardly sees it, towards what the model takes for the class. A class "
    "that lies just behind the border comes back.",
    "revival": "The head of the original is put back, and the rest is trained on images of the "
    "other classes alone. A class that is only pushed aside comes back by itself.",
}
_POSITION = ".position"
_NUMBER = re.compile(r"_\d+$")


def name_check(name: str, measures: Sequence[Measure] = ()) -> str:
    """Name in plain words what a check looks at: a limit of its own, or a figure of an attack."""
    titles = {measure.name: name_measure(measure) for measure in measures}
    of_what = name.removesuffix(_POSITION)
    if of_what != name:
        title = titles.get(of_what, of_what)
        return f"{title}: nearer to the retrained model (1) or to the original (0)?"
    return CHECKS.get(name) or titles.get(name, name)


def explain_figure(name: str) -> str:
    """Explain a figure of an attack by its name; one without an explanation gets none."""
    attack, _, rest = name.partition(".")
    kind = _NUMBER.sub("", rest.rpartition(".")[2])  # of the 5 images a class in `recall_5`
    names = (name, f"{attack}.{kind}", attack)
    return next((_FIGURES[each] for each in names if each in _FIGURES), "")
