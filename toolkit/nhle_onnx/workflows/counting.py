"""Counting what models get right, on the engine asked for; counts add up to the same everywhere."""

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
_BATCHES = 16  # of a shard, at most: so that little is done again where a process dies
_SHARDS = 8  # a worker, at least: so that none is left with the last one


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Some of the samples, by their places in the source."""

    settings: VerifySettings
    indices: range


def count_samples(settings: VerifySettings, comparison: Comparison, on_batch: OnBatch) -> Tally:
    """The tally of all samples, where none is decoded twice.

    Raises what the engine and the samples raise.
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
    """The tally of one part, in whichever process."""
    models, evaluation, request = _open_once(shard.settings)
    part = replace(evaluation, indices=shard.indices)
    return tally_models(models, part, request, shard.settings.batch_size)


@lru_cache(maxsize=1)
def _open_once(settings: VerifySettings) -> tuple[list[LoadedModel], Evaluation, ForgetRequest]:
    """A process opens the models and lists the samples for its first part only."""
    comparison = open_comparison(settings)
    evaluation = read_evaluation(settings.data, comparison.classifier)
    return load_models(settings, comparison), evaluation, comparison.request


def _choose_size(count: int, workers: int, batch_size: int) -> int:
    """Samples a shard, in whole batches."""
    batches = -(-count // (batch_size * workers * _SHARDS))
    return batch_size * max(1, min(_BATCHES, batches))


def _split(evaluation: Evaluation, size: int) -> Iterable[range]:
    count = len(evaluation.indices)
    return (range(start, min(start + size, count)) for start in range(0, count, size))
