"""Whether something takes time that grows with its input, and not with its square: on a busy machine, without a clock
on the wall. Processor time of this thread, the least of several runs, and a factor that only a square exceeds."""

import time
from collections.abc import Callable

ENOUGH = 0.004  # seconds below which a run is quick whatever its growth: it cannot be told from noise


def cost(act: Callable, text, tries: int) -> float:
    best = float("inf")
    for _ in range(tries):
        began = time.thread_time()
        act(text)
        best = min(best, time.thread_time() - began)
        if best < ENOUGH:
            break
    return best


def grows_linearly(act: Callable, make: Callable[[int], object], sizes: tuple[int, int] = (2000, 8000)) -> bool:
    """`make(n)` is an input of a size near n. Four times as much may cost eight times as much, and no more; a square
    would be sixteen."""
    small, large = make(sizes[0]), make(sizes[1])
    after = cost(act, large, 3)
    if after < ENOUGH:
        return True
    return after <= 8 * max(cost(act, small, 5), ENOUGH / 8)
