"""Makes a failing sequence as short as it will go: fewer commands first, then fewer and shorter arguments."""

import time


def shrink(items, fails, seconds):
    """The shortest sequence found within `seconds` for which `fails(items)` still holds."""
    until = time.monotonic() + seconds
    items = _fewer(list(items), fails, until)
    return _simpler(items, fails, until)


def _fewer(items, fails, until):
    """Delta debugging: drop ever smaller pieces."""
    pieces = 2
    while len(items) >= 2 and time.monotonic() < until:
        size = max(1, (len(items) + pieces - 1) // pieces)
        start, dropped = 0, False
        while start < len(items) and time.monotonic() < until:
            rest = items[:start] + items[start + size :]
            if rest and fails(rest):
                items, dropped = rest, True
            else:
                start += size
        if size == 1 and not dropped:
            break
        pieces = max(2, pieces - 1) if dropped and size > 1 else min(len(items), pieces * 2)
    return items


def _simpler(items, fails, until):
    for at in range(len(items)):
        number, args = items[at]
        args = list(args)
        step = max(1, (len(args) - 1) // 2)
        while step and time.monotonic() < until:  # drop runs of arguments
            i = len(args) - step
            while i >= 1 and time.monotonic() < until:
                fewer = args[:i] + args[i + step :]
                if fails(items[:at] + [(number, fewer)] + items[at + 1 :]):
                    args = fewer
                    items[at] = (number, args)
                i -= step
            step //= 2
        for i in range(1, len(args)):  # shorten values
            for shorter in _shorter(args[i]):
                if time.monotonic() >= until:
                    return items
                changed = args[:i] + [shorter] + args[i + 1 :]
                if fails(items[:at] + [(number, changed)] + items[at + 1 :]):
                    args = changed
                    items[at] = (number, args)
                    break
    return items


def _shorter(arg):
    size = len(arg) if isinstance(arg, (bytes, str)) else 0
    return [arg[: size // d] for d in (16, 4, 2)] if size > 60 else ([arg[:4]] if 16 < size else [])
