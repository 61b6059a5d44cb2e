"""The order of training rows in each epoch: several sources mixed, or rows of similar length together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Sampler

from reasondistill.data.transforms.mixing import Mixture


class MixtureSampler(Sampler[int]):
    """A `Mixture` as torch's sampler. accelerate calls ``set_epoch``, also after a resume."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture
        self.number = 0

    def set_epoch(self, epoch: int) -> None:
        self.number = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(self.mixture.epoch(self.number).tolist())

    def __len__(self) -> int:
        return len(self.mixture)


class LengthSampler(Sampler[int]):
    """transformers' batches by length, each epoch's drawn from a seed of its own.

    Its own draws come from the process's generator: a run that goes on in a later epoch would take other rows than
    were left.
    """

    def __init__(self, sampler: Any, seed: int) -> None:
        self.sampler = sampler
        self.seed = seed
        self.number = 0

    def set_epoch(self, epoch: int) -> None:
        self.number = epoch

    def __iter__(self) -> Iterator[int]:
        self.sampler.generator = torch.Generator().manual_seed(self.seed + self.number)
        return iter(self.sampler)

    def __len__(self) -> int:
        return len(self.sampler)
