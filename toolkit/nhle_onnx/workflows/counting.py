"""Counting correct answers on any engine; the totals are the same on all of them."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache

from nhle_onnx.engines.choose import is_ray, open_engine
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.verify import VerifySettings
from nhle_onnx.workflows.comparison import Comparison, load_models, open_comparison
from nhle_onnx.workflows.evaluation import read_evaluation
from nhle_onnx.workflows.measure import (
    Evaluation,
    LoadedModel,
    OnBatch,
)
from nhle_onnx.workflows.tally import Tally, sum_tallies, tally_models

RETRIES = 2
_BATCHES = 16  # maximum of a shard, so that little is repeated if a process dies
_SHARDS = 8  # minimum for each worker, so that none has to wait long for the last shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A part of the samples, by their positions in the source."""

    settings: VerifySettings
    indices: range


def count_samples(settings: VerifySettings, comparison: Comparison, on_batch: OnBatch) -> Tally:
    """Count all samples, decoding each only once.

    Raises any error of the engine and of the samples.
    """
    if is_ray(settings.engine):
        # Ray is an extra, and slow to import
        from nhle_onnx.workflows.counting_ray import count_with_ray  # noqa: PLC0415

        return count_with_ray(settings, comparison, on_batch)
    evaluation = read_evaluation(settings.data, comparison.classifier)
    if settings.engine == "local":
        models = load_models(settings, comparison)
        return tally_models(models, evaluation, comparison.request, settings.batch_size, on_batch)
    with open_engine(settings.engine, settings.workers) as engine:
        size = _choose_size(len(evaluation.indices), engine.workers, settings.batch_size)
        shards = {str(part.start): part for part in _split(evaluation, size)}
        jobs = {key: Shard(settings=settings, indices=part) for key, part in shards.items()}
        with closing(engine.run(count_shard, jobs, RETRIES)) as outcomes:
            return sum_tallies(outcomes, len(evaluation.indices), on_batch)


def count_shard(shard: Shard) -> Tally:
    """Count one part, in any process."""
    models, evaluation, request = _open_once(shard.settings)
    part = replace(evaluation, indices=shard.indices)
    return tally_models(models, part, request, shard.settings.batch_size)


@lru_cache(maxsize=1)
def _open_once(settings: VerifySettings) -> tuple[list[LoadedModel], Evaluation, ForgetRequest]:
    """Open the models and list the samples, once in each process."""
    comparison = open_comparison(settings)
    evaluation = read_evaluation(settings.data, comparison.classifier)
    return load_models(settings, comparison), evaluation, comparison.request


def _choose_size(count: int, workers: int, batch_size: int) -> int:
    """Choose the number of samples of a shard, in whole batches."""
    batches = -(-count // (batch_size * workers * _SHARDS))
    return batch_size * max(1, min(_BATCHES, batches))


def _split(evaluation: Evaluation, size: int) -> Iterable[range]:
    count = len(evaluation.indices)
    return (range(start, min(start + size, count)) for start in range(0, count, size))
