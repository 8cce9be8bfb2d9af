"""The garbage collector of a server process."""

import gc

THRESHOLDS = (50_000, 20, 50)


def settle() -> None:
    """Take what the start built out of the collector's sight, and collect less often.

    Definitions and compiled checks live as long as the process; walking them in each full collection would stall requests.
    A decoded bundle makes many containers, none of them cyclic: the default threshold of 700 collects in vain.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
