"""How several processes share the rows of a step, so that a step learns from the rows that one process would take."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import SeedableRandomSampler, prepare_data_loader
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from reasondistill.config import TrainConfig
from reasondistill.errors import ConfigError
from reasondistill.training.features import IDS
from reasondistill.training.losses import TokenLosses
from reasondistill.training.process_group import Processes


class SharedBatches(BatchSampler):
    """This process's rows of each batch. All processes go through the same batches.

    The last batch of an epoch is shared out evenly, too: no row comes twice, and a process may get none.

    Args:
        whole: batches of all processes' rows together, in the same order in each process.
    """

    def __init__(self, whole: BatchSampler, rank: int, count: int) -> None:
        # Not the parent's: that one makes batches out of rows. accelerate sets the epoch of `batch_sampler.sampler`.
        self.batch_sampler = whole
        self.sampler = whole.sampler
        self.rank, self.count = rank, count
        self.batch_size, self.drop_last = whole.batch_size, whole.drop_last

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batch_sampler:
            begin, end = (len(batch) * rank // self.count for rank in (self.rank, self.rank + 1))
            yield batch[begin:end]

    def __len__(self) -> int:
        return len(self.batch_sampler)


def shared_loader(trainer: Any, processes: Processes) -> Any:
    """The loader of training batches as transformers and accelerate make it for one process, with this one's rows.

    accelerate's own sharding fills the last batches up with rows that have been there, and one process would not.
    """
    arguments, rows = trainer.args, trainer.train_dataset
    sampler = trainer._get_train_sampler(rows)
    if isinstance(sampler, RandomSampler):  # as accelerate puts it in its place
        sampler = SeedableRandomSampler(rows, data_seed=arguments.data_seed)
    whole = BatchSampler(sampler, trainer._train_batch_size * processes.count, arguments.dataloader_drop_last)
    loader = DataLoader(
        rows,
        batch_sampler=SharedBatches(whole, processes.here.rank, processes.count),
        collate_fn=trainer.data_collator,
        num_workers=arguments.dataloader_num_workers,
        pin_memory=arguments.dataloader_pin_memory,
        persistent_workers=arguments.dataloader_persistent_workers,
        prefetch_factor=arguments.dataloader_prefetch_factor,
    )
    _seed_apart(arguments.seed, 0, processes)  # the sampler, which is the same in all, has its seed
    return prepare_data_loader(
        loader, device=trainer.accelerator.device, num_processes=1, process_index=0, put_on_device=True
    )


def loss_sums(trainer: Any, rows: Any) -> list[float]:
    """Sums of `TokenLosses` over rows to evaluate.

    Several processes share whole batches out, which are added up in the order in which one process comes to them: a
    batch has the rows that it has there, so that its sums are the same to the last bit.
    """
    processes, size = trainer.processes, trainer.args.eval_batch_size
    numbers: list[int] = []
    if processes.count == 1:
        loader = trainer.get_eval_dataloader(rows)
    else:
        numbers = list(range(processes.here.rank, -(-len(rows) // size), processes.count))
        batches = [list(range(number * size, min((number + 1) * size, len(rows)))) for number in numbers]
        loader = DataLoader(rows, batch_sampler=batches, collate_fn=trainer.data_collator)
    sums = []
    for batch in loader:
        batch.pop(IDS, None)
        with torch.no_grad(), trainer.compute_loss_context_manager():
            losses = trainer.model(**trainer._prepare_inputs(batch))
        sums.append(torch.stack([value.float() for value in losses]))
    if processes.count > 1:
        shares = processes.all_of(list(zip(numbers, [value.cpu() for value in sums], strict=True)))
        sums = [value for _, value in sorted((pair for share in shares for pair in share), key=itemgetter(0))]
    total = torch.zeros(len(TokenLosses._fields), device=sums[0].device if sums else "cpu")
    for value in sums:
        total += value
    return list(total.tolist())


def with_batch_of(config: TrainConfig, before: int, count: int) -> TrainConfig:
    """The configuration of a run that goes on in another number of processes, with as many rows a step as it had.

    Args:
        before: processes that it was begun with.
        count: that it goes on with.

    Raises:
        ConfigError: its rows a step cannot be shared out evenly.
    """
    if before == count:
        return config
    batch = int(config.training.get("per_device_train_batch_size", 8))
    rows = batch * int(config.training.get("gradient_accumulation_steps", 1)) * before
    if rows % count:
        alone = f"--set name={config.name}_{count} --set training.per_device_train_batch_size={max(rows // count, 1)}"
        fitting = [str(n) for n in range(1, min(rows, 4 * count) + 1) if rows % n == 0]
        raise ConfigError(
            "processes",
            expected=f"a number that divides the {rows} rows of a step, with which the run was begun",
            found=str(count),
            fix=f"Go on with {', '.join(fitting)} of them, or begin a run of another name, such as {alone}.",
        )
    each = rows // count
    size = max(n for n in range(1, min(batch, each) + 1) if each % n == 0)
    changed = {"per_device_train_batch_size": size, "gradient_accumulation_steps": each // size}
    return config.model_copy(update={"training": {**config.training, **changed}})


def batch_in_words(config: TrainConfig, count: int) -> str:
    """Rows of a step as processes share them: ``8 rows x 2 accumulated x 4 processes a step``; empty for one."""
    if count == 1:
        return ""
    steps = int(config.training.get("gradient_accumulation_steps", 1))
    accumulated = f" x {steps} accumulated" if steps > 1 else ""
    return f"{config.training.get('per_device_train_batch_size', 8)} rows{accumulated} x {count} processes a step"


# --- dropout masks, which differ from process to process ---


def random_states() -> dict[str, Tensor]:
    """Of this process's generators."""
    states = {"cpu": torch.random.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def go_on_drawing(file: Path, seed: int, step: int, processes: Processes) -> None:
    """Go on with a process's generators as a checkpoint has them, or, where it is of other processes, with new ones."""
    states = torch.load(file, weights_only=True) if file.exists() else []
    if len(states) != processes.count:
        _seed_apart(seed, step, processes)
        return
    torch.random.set_rng_state(states[processes.here.rank]["cpu"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state(states[processes.here.rank]["cuda"])


def _seed_apart(seed: int, step: int, processes: Processes) -> None:
    torch.manual_seed(hash((seed, step, processes.here.rank)) % 2**63)
