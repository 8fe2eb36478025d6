"""The page of `whole-models`: checks by network and by exporter, and what failed."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from studies.converters import OTHERS, TOLERANCE
from studies.tables import pick_rows

OURS = "nhle-onnx"
CHECKS = ("converts", "agrees", "gradients")
COUNTED = "legacy-17.random"  # the export whose trainable parameters are shown
_MERGED = re.compile(r"^KeyError: '[\w.]+'$")


def summarise(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Summarise one network: passed checks by converter, and trainable numbers."""
    counted = next((row for row in rows if f"{row['exporter']}.{row['biases']}" == COUNTED), {})
    summary: dict[str, Any] = {"network": name, "exports": count(rows, "exported")}
    summary |= {converter: count_checks(rows, converter) for converter in (OURS, *OTHERS)}
    summary["parameters"] = rows[0]["network parameters"]
    for converter in (OURS, *OTHERS):
        trained = counted.get(converter, {}).get("parameters", "none")
        summary[f"trained by {converter}"] = trained
    return summary


def summarise_exporter(rows: Sequence[dict[str, Any]], exporter: str) -> dict[str, Any]:
    """Summarise one exporter over all networks and both kinds of biases."""
    chosen = pick_rows(rows, exporter=exporter)
    summary = {"exporter": exporter, "exports": count(chosen, "exported")}
    return summary | {converter: count_checks(chosen, converter) for converter in (OURS, *OTHERS)}


def count(rows: Sequence[dict[str, Any]], check: str) -> str:
    """Count the rows that pass a check, of all."""
    return f"{sum(bool(row.get(check)) for row in rows)}/{len(rows)}"


def count_checks(rows: Sequence[dict[str, Any]], converter: str) -> str:
    """Count the exports that pass each check."""
    results = [row.get(converter) for row in rows if row["exported"]]
    if None in results:
        return "not installed"
    return " · ".join(count([result or {} for result in results], check) for check in CHECKS)


def list_failures(rows: Sequence[dict[str, Any]]) -> str:
    """List failures with reason and networks, most frequent first."""
    networks: dict[str, Counter[str]] = {}
    for row in rows:
        if not row["exported"]:
            reason = f"{row['exporter']}, no export: {row['reason']}"
            networks.setdefault(reason, Counter())[row["network"]] += 1
        for converter in (OURS, *OTHERS):
            result = row.get(converter)
            if result and not all(result[check] for check in CHECKS):
                reason = f"{converter}: {explain(result)}"
                networks.setdefault(reason, Counter())[row["network"]] += 1
    ranked = sorted(networks.items(), key=lambda item: -item[1].total())
    lines = [
        f"- {reason} ({', '.join(f'{name} {number}' for name, number in counts.items())})"
        for reason, counts in ranked
    ]
    return "\n".join(lines) or "- nothing"


def explain(result: dict[str, Any]) -> str:
    """Explain a failed row: the converter's message, or the failed check."""
    if "reason" in result:
        return _MERGED.sub("KeyError: a merged tensor's name", str(result["reason"]))
    return "other logits" if not result["agrees"] else "other gradients"


def describe(rows: Sequence[dict[str, Any]], table: str, exporters: str) -> str:
    """Return the page's text."""
    return (
        "Each network, in inference mode with its statistics measured on noise, is exported with a "
        "free batch size by torch's TorchScript exporter (`legacy`, by opset) and by its newer "
        "exporter (`dynamo`, at opset 18 and at its default), with random biases and with all "
        "biases zero, which exporters merge or drop. Images are 32x32 (75x75 for Inception, 28x28 "
        f"for MLP and LeNet-5). `-short` networks have fewer blocks.\n\n{table}\n\n"
        "`exports`: files that the exporter wrote and ONNX Runtime runs on a batch of another "
        "size. Three counts for each converter, over these files: it converts · its logits agree "
        "with ONNX Runtime's on that batch · in double precision its gradient for the images is "
        "the original network's; ours must also give the original's gradient for each parameter "
        f"that kept its name. Tolerance: {TOLERANCE:g} of the largest logit, and of the "
        "gradient's norm for the median image (folding batch normalisation rounds, which takes a "
        "ReLU of one image in many across its kink). `trained by`: trainable numbers in the "
        f"module of {COUNTED.replace('.', ' with ')} biases; exporters fold batch normalisation "
        "into convolutions, and layers that only the auxiliary output needs are not lowered.\n\n"
        f"{exporters}\n\n## What failed\n\n{list_failures(rows)}\n\n"
        "The other converters ran in a process of their own. Both import torchvision for detection "
        "operators; if it is not installed, an empty module replaces it, which no "
        "network here uses."
    )
