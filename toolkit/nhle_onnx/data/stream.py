"""Samples batch by batch, prepared on other threads while the consumer works."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, cycle
from threading import Condition

import numpy as np

from nhle_onnx.data.source import Array, Fill, SampleSource, split_pieces
from nhle_onnx.values.cores import count_threads

_AHEAD = 2  # batches, at least, that are ready or in preparation beside the consumer's
_MAX_THREADS = 16


def stream_batches(
    source: SampleSource, indices: Sequence[int], batch_size: int, held: int = 1
) -> Generator[Array]:
    """Yield samples at ascending `indices` as model inputs [<= batch_size, ...], in order.

    Asking for the next batch overwrites the one from `held` requests before, as allocating memory
    would take half as long as decoding. Memory holds those `held`, as many again but at least two
    that are in preparation, and one undecoded piece for each thread, however many samples there
    are. A sample's InputRefusedError is raised when its batch is asked for. Close the generator to
    stop the threads early; each then finishes its current piece.
    """
    threads, ahead = min(count_threads(), _MAX_THREADS), max(_AHEAD, held)
    size = max(1, min(source.piece_size, held * batch_size // threads))
    batches = split_pieces(indices, batch_size)
    turns = _Turns(source.load(piece for batch in batches for piece in split_pieces(batch, size)))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    pending: deque[tuple[Array, list[Future[None]]]] = deque()
    shape = (min(batch_size, len(indices)), *source.target.sample_shape)
    buffers = cycle([np.empty(shape, np.float32) for _ in range(ahead + held)])
    try:
        for batch in split_pieces(indices, batch_size):
            inputs = next(buffers)[: len(batch)]
            places = (inputs[start : start + size] for start in range(0, len(batch), size))
            pieces = [pool.submit(turns.fill, *turn) for turn in turns.give(places)]
            pending.append((inputs, pieces))
            if len(pending) > ahead:
                yield _finish(*pending.popleft())
        while pending:
            yield _finish(*pending.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


class _Turns:
    """Loads pieces in order and one at a time, whichever thread asks."""

    def __init__(self, fills: Iterator[Fill]) -> None:
        self._fills = fills
        self._given = count()
        self._turn = 0
        self._moved = Condition()

    def give(self, places: Iterable[Array]) -> Iterator[tuple[int, Array]]:
        """Give out a turn for each place."""
        return ((next(self._given), place) for place in places)

    def fill(self, turn: int, place: Array) -> None:
        """Load the piece of this turn once all earlier ones are loaded, and prepare it in its
        place. A pool starts its tasks in order, so some thread always has the next turn.
        """
        with self._moved:
            self._moved.wait_for(lambda: self._turn == turn)
            try:
                fill = next(self._fills)
            finally:
                self._turn += 1
                self._moved.notify_all()
        fill(place)


def _finish(inputs: Array, pieces: list[Future[None]]) -> Array:
    for piece in pieces:
        piece.result()
    return inputs
