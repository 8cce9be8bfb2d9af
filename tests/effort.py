"""How much work something may take: processor time, by a yardstick that is measured on the same machine in the same run."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from time import process_time

YARDSTICK_SECONDS = 0.006
"""What `_yardstick` takes on the machine that the bounds of the tests are meant for."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail where what is inside takes more processor time of this process; a machine that is slower has as much longer.

    It is for what takes minutes or for ever where nothing bounds it. How busy the machine is does not count, nor what other tests
    have left for the collector of garbage to look through.

    Args:
        seconds: Of the processor, far above what it takes.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        began = process_time()
        yield
        spent = process_time() - began
    finally:
        if collects:
            gc.enable()
    if spent > seconds:
        allowed = seconds * max(1.0, min(_yardstick() for _ in range(3)) / YARDSTICK_SECONDS)
        assert spent <= allowed, f"{spent:.2f} s of the processor, of {allowed:.2f}"


def _yardstick() -> float:
    began = process_time()
    words: dict[str, int] = {}
    for number in range(40_000):
        word = str(number * 7919 % 10_007)
        words[word] = words.get(word, 0) + 1
    assert len(words) == 10_007
    return process_time() - began
