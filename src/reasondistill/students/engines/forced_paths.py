"""Forced texts that give the scores of several targets at once.

An engine that is forced to write a text returns, at each step, the log-probability of every token of the vocabulary.
So one pass over the prompt, forced along ``en ##tail``, gives the scores of ``neutral``, ``contradiction`` and
``en ##tail ##ment``; scoring them separately would read the prompt three times.
"""

from __future__ import annotations

from collections.abc import Sequence

from reasondistill.students.codec import EncodedTarget

Path = tuple[int, ...]

LONGEST = 8
"""Tokens of a path: each takes a step, while scoring a target reads all its tokens in one."""


def scored(target: EncodedTarget, role: int) -> list[int]:
    """The places of a target's tokens that have a role."""
    return [place for place, own in enumerate(target.roles) if own == role]


def paths_for(targets: Sequence[EncodedTarget], role: int) -> list[Path] | None:
    """The fewest texts that give all scores; None if scoring each target separately is no more work.

    A target needs the steps up to its last scored token: a path that begins with the tokens before it.
    """
    needed = {tuple(target.ids[: scored(target, role)[-1]]) for target in targets if scored(target, role)}
    paths = [path for path in needed if not any(len(o) > len(path) and o[: len(path)] == path for o in needed)]
    if len(paths) >= len(targets) or any(len(path) > LONGEST for path in paths):
        return None
    return sorted(paths)


def path_of(target: EncodedTarget, role: int, paths: Sequence[Path]) -> Path | None:
    """The path that gives a target's score; None if it has no scored token."""
    if not (places := scored(target, role)):
        return None
    before = tuple(target.ids[: places[-1]])
    return next(path for path in paths if path[: len(before)] == before)
