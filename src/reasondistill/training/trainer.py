"""DistillationTrainer: a Seq2SeqTrainer with the joint loss, whole checkpoints and a log of both terms."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    ProgressCallback,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import ExportableState, TrainerState
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import TrainOutput, rotate_checkpoints

from reasondistill.config import Loss
from reasondistill.data.transforms.mixing import Mixture
from reasondistill.storage.files import read_json, write_json
from reasondistill.students.checkpoint import Checkpoint
from reasondistill.training.argument_checks import refusals
from reasondistill.training.callbacks import KeepBest, ProgressReports
from reasondistill.training.checkpoints import damage, part_of, place_of, require_whole, room_for, seal, step_of
from reasondistill.training.encoder_rate import groups_with_rates
from reasondistill.training.features import IDS, NamingCollator
from reasondistill.training.joint_model import Distillation, JointModel, load_weights, loss_figures
from reasondistill.training.losses import TokenLosses, joint_loss
from reasondistill.training.process_group import current
from reasondistill.training.progress import Watcher, unwatched
from reasondistill.training.samplers import LengthSampler, MixtureSampler
from reasondistill.training.shared_batches import go_on_drawing, loss_sums, random_states, shared_loader
from reasondistill.training.stopping import FiniteWatch, StopOnSignal

_LOG = logging.getLogger(__name__)

_LOG_STATE = "log_state.json"
_RANDOM_STATES = "random_states.pt"
"""Of torch's generators, in the order of the processes, where there are several."""


class DistillationTrainer(Seq2SeqTrainer):  # type: ignore[misc]  # transformers is not followed by mypy
    """Seq2SeqTrainer with the joint loss, two learning rates and a log of both terms.

    Args:
        student: what is trained.
        loss: the weights of the two terms, which may follow schedules.
        arguments: transformers' own.
        train_dataset, eval_dataset: as `features.build_features` makes them.
        mixture: which rows of ``train_dataset`` each epoch goes through; by default transformers' own sampling.
        label_accuracy: called at each evaluation; the share of validation labels that scoring decides rightly.
        encoder_learning_rate: of the encoder and embeddings, where it is not ``arguments.learning_rate``.
        log_file: where a line of JSON is added for each logged step and evaluation.
        phase: a word that is added to those lines.
        early_stopping_patience: evaluations without improvement after which training ends.
        distillation: the student that this one's answers are drawn towards.
        callbacks: transformers', beside this trainer's own.
        on_first_step: called once, after the first step that this trainer makes.
        watcher: called after each step; nothing is printed.
    """

    def __init__(
        self,
        student: Checkpoint,
        *,
        loss: Loss,
        arguments: Seq2SeqTrainingArguments,
        train_dataset: Any,
        mixture: Mixture | None = None,
        eval_dataset: Any = None,
        label_accuracy: Callable[[], float] | None = None,
        encoder_learning_rate: float | None = None,
        log_file: Path | None = None,
        phase: str = "joint",
        early_stopping_patience: int | None = None,
        distillation: Distillation | None = None,
        callbacks: Sequence[TrainerCallback] = (),
        on_first_step: Callable[[], None] | None = None,
        watcher: Watcher = unwatched,
    ) -> None:
        self.processes = current()
        self.on_first_step = on_first_step
        self.weights = loss
        self.mixture = mixture
        self.label_accuracy = label_accuracy
        self.encoder_learning_rate = encoder_learning_rate
        self.log_file = log_file
        self.phase = phase
        self.saved = student
        self._sums: list[Tensor] | None = None
        self._watch = FiniteWatch()
        self.stop = StopOnSignal()
        self.returning = KeepBest()
        self.reports = ProgressReports("training" if phase == "joint" else phase, watcher)
        self.optimizer: Any
        self.control: Any
        # The joint loss smooths itself; transformers would look for a key `labels` in each batch.
        smoothing, arguments.label_smoothing_factor = arguments.label_smoothing_factor, 0.0
        # It would make an accelerator wait at each batch, to hide what `FiniteWatch` stops at.
        arguments.logging_nan_inf_filter = False
        patience = [EarlyStoppingCallback(early_stopping_patience)] if early_stopping_patience else []
        model = JointModel(student.model, smoothing, distillation)
        if arguments.neftune_noise_alpha:
            model.packing = "never"  # NEFTune's noise is scaled by the length of a row, which has to be that of a text
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            data_collator=NamingCollator(student.codec),
            callbacks=[self.stop, self.returning, self.reports, *callbacks, *patience],
        )
        self.args.label_smoothing_factor = smoothing
        self.remove_callback(ProgressCallback)  # a bar with raw dictionaries
        self.remove_callback(PrinterCallback)  # these alone
        # The loss below is divided by the counts of the whole optimizer step.
        self.loss_is_scaled_for_ga = True

    def train(self, resume_from_checkpoint: str | None = None, **options: Any) -> Any:
        """As transformers', but resuming from a finished checkpoint loads it without another step.

        Raises:
            TrainingError: a loss or a gradient is NaN or infinite.
            StoppedError: a signal came; a checkpoint of the last step is there.
            OutputError: the disk is full.
            CheckpointError: the checkpoint that validation selected is damaged.
        """
        if resume_from_checkpoint is not None:
            self.args.eval_on_start = False  # it was done
            state = TrainerState.load_from_json(str(Path(resume_from_checkpoint) / TRAINER_STATE_NAME))
            if state.best_model_checkpoint is not None:
                # By its step: transformers keeps the path that the run had then.
                best = place_of(Path(str(self.args.output_dir)), step_of(state.best_model_checkpoint))
                state.best_model_checkpoint = self.returning.best = str(best)
                if (wrong := damage(best)) is not None:
                    _LOG.warning(
                        "%s, which validation selected, is damaged (%s): a better one has to come.", best, wrong
                    )
            ended = state.stateful_callbacks.get("TrainerControl", {}).get("args", {}).get("should_training_stop")
            if state.global_step >= state.max_steps or ended:
                self.state = state
                self._load_from_checkpoint(resume_from_checkpoint)
                if self.args.load_best_model_at_end:
                    self._load_best_model()
                return TrainOutput(state.global_step, 0.0, {})
        result = super().train(resume_from_checkpoint=resume_from_checkpoint, **options)
        self._check_numbers()  # steps after the last that was logged
        return result

    def _check_numbers(self) -> None:
        """Look for a NaN, in any process.

        Raises:
            TrainingError: there is one.
        """
        with self.processes.together():
            self._watch.check()

    # --- the loss ---

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        """(2,) label and explanation tokens of one optimizer step, over accumulated batches and all processes.

        transformers counts one kind of token here and hands the result to `compute_loss`.
        """
        counts = torch.tensor(
            [sum(int(batch[name].sum()) for batch in batch_samples) for name in ("label_mask", "explanation_mask")],
            device=device,
        )
        return self.processes.total(counts).long().to(device) if self.processes.count > 1 else counts

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        ids = inputs.pop(IDS, [])
        losses: TokenLosses = model(**inputs)
        counts = None if num_items_in_batch is None else (num_items_in_batch[0], num_items_in_batch[1])
        alpha, beta = self.weights.weights(self._progress())
        # Distributed wrappers average gradients over processes, while the counts are of all of them.
        loss = joint_loss(losses, alpha=alpha, beta=beta, counts=counts) * self.accelerator.num_processes
        if model.training:
            values = [value.detach().float() for value in losses]
            self._sums = [a + b for a, b in zip(self._sums, values, strict=True)] if self._sums else values
            self._watch.add(self.state.global_step, ids, loss)
        return (loss, losses) if return_outputs else loss

    def _progress(self) -> float:
        return float(min(self.state.global_step / max(self.state.max_steps, 1), 1.0))

    # --- which rows ---

    def get_train_dataloader(self) -> Any:
        several = self.processes.count > 1
        return shared_loader(self, self.processes) if several else super().get_train_dataloader()

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self.mixture is not None:
            return MixtureSampler(self.mixture)
        sampler = super()._get_train_sampler(train_dataset)
        if isinstance(sampler, LengthGroupedSampler):
            sampler.batch_size *= self.processes.count
        return LengthSampler(sampler, self.args.seed) if isinstance(sampler, LengthGroupedSampler) else sampler

    # --- two learning rates ---

    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
        """As transformers', but arguments that it refuses raise ConfigError.

        Raises:
            ConfigError: it is refused.
        """
        with refusals():
            super().create_optimizer_and_scheduler(num_training_steps)

    def create_optimizer(self, model: Any = None) -> Any:
        if self.optimizer is None and self.encoder_learning_rate is not None:
            model = self.model
            decayed = set(self.get_decay_parameter_names(model))
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, model)
            groups = groups_with_rates(model, decayed, self.args, self.encoder_learning_rate)
            self.optimizer = kind(groups, **options)
        return super().create_optimizer(model)

    def _get_learning_rate(self) -> float:
        # The last group is never the encoder's alone: report the rate that `learning_rate` names.
        rates = [group["lr"] for group in self.optimizer.param_groups]
        return float(max(rates)) if self.encoder_learning_rate is not None else float(super()._get_learning_rate())

    # --- evaluation and log ---

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Both losses on the validation part, and the accuracy of labels decided by scoring.

        ``both`` is label accuracy plus the likelihood of an explanation's token, exp(-loss): a measure to select on
        that rises with either.
        """
        self.reports.validating()
        self.model.eval()
        figures = loss_figures(loss_sums(self, self.eval_dataset if eval_dataset is None else eval_dataset))
        alpha, beta = self.weights.weights(self._progress())
        figures["loss"] = alpha * figures.get("label_loss", 0.0) + beta * figures.get("explanation_loss", 0.0)
        if self.label_accuracy is not None:
            figures["label_accuracy"] = self.label_accuracy()
        figures["both"] = figures.get("label_accuracy", 0.0) + (
            math.exp(-figures["explanation_loss"]) if "explanation_loss" in figures else 0.0
        )
        # The first process's, which all of them select on and stop early by.
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in self.processes.of_first(figures).items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            alpha, beta = self.weights.weights(self._progress())
            logs |= {"alpha": alpha, "beta": beta}
            if self._sums:
                logs |= loss_figures(self.processes.total(torch.stack(self._sums)).tolist())
                self._sums = None
        super().log(logs, start_time)
        if self.log_file is not None and not {"loss", "eval_loss"}.isdisjoint(logs):
            with self.processes.together():
                if self.processes.first:
                    self._write_line({"phase": self.phase, "step": self.state.global_step, **logs}, self.log_file)

    def _write_line(self, row: dict[str, Any], file: Path) -> None:
        with room_for("a line", file), file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")

    def _maybe_log_save_evaluate(
        self, tr_loss: Tensor, grad_norm: Any, model: Any, trial: Any, *args: Any, **kwargs: Any
    ) -> None:
        # With fp16 a gradient may overflow: the step is then left out, and the scale lowered.
        if not self.accelerator.optimizer_step_was_skipped:
            self._watch.add_gradient(grad_norm)
        # Before anything is logged as a mean, selected on or saved. On a processor a look costs nothing, so each step
        # is looked at.
        wanted = self.control.should_log or self.control.should_evaluate or self.control.should_save
        if wanted or self.args.device.type == "cpu":
            self._check_numbers()
        if self.on_first_step is not None and self.state.global_step > 0:
            with self.processes.together():
                self.on_first_step()
            self.on_first_step = None
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, model, trial, *args, **kwargs)
        if self.stop.leaving and not self.control.should_training_stop:
            # Still here: save_strategy `best` passes over a step that is not the best.
            self._save_checkpoint(model, trial)
            self.control = self.callback_handler.on_save(self.args, self.state, self.control)

    # --- checkpoints: whole ones, of the student itself as plain transformers saves it ---

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save as transformers does, but into a temporary folder that is renamed once it is complete.

        Raises:
            OutputError: there is no room for it; nothing of it is left.
        """
        self.store_flos()
        log_state = self._log_state()
        states = self.processes.all_of(random_states()) if self.processes.count > 1 else []
        with self.processes.together():
            if self.args.should_save:
                self._write_checkpoint(log_state, states)
        self.state.best_model_checkpoint = self.processes.of_first(self.state.best_model_checkpoint)

    def _write_checkpoint(self, log_state: dict[str, Any], states: list[dict[str, Tensor]]) -> None:
        folder = Path(str(self.args.output_dir))
        checkpoint = place_of(folder, self.state.global_step)
        part = part_of(checkpoint)
        shutil.rmtree(part, ignore_errors=True)
        with room_for("a checkpoint", checkpoint, removed=part, kept="the checkpoints before this one are whole"):
            self.save_model(str(part), _internal_call=True)
            if self.state.best_global_step:
                best = place_of(folder, self.state.best_global_step)
                if best == checkpoint or best.exists():
                    self.state.best_model_checkpoint = str(best)
            self._save_optimizer_and_scheduler(str(part))
            self._save_scaler(str(part))
            self._save_rng_state(str(part))
            if states:
                torch.save(states, part / _RANDOM_STATES)
            self._export_callback_states()
            self.state.save_to_json(str(part / TRAINER_STATE_NAME))
            write_json(part / _LOG_STATE, log_state)
            seal(part, checkpoint)
        rotate_checkpoints(
            output_dir=str(folder),
            save_total_limit=self.args.save_total_limit,
            best_model_checkpoint=self.state.best_model_checkpoint,
        )

    def _export_callback_states(self) -> None:
        for callback in [*self.callback_handler.callbacks, self.control]:
            if isinstance(callback, ExportableState):
                name, state = type(callback).__name__, callback.state()
                if isinstance(self.state.stateful_callbacks[name], list):
                    self.state.stateful_callbacks[name].append(state)
                else:
                    self.state.stateful_callbacks[name] = state

    # What was summed up since the last logged step, so that a resumed run logs the same figures.

    def _log_state(self) -> dict[str, Any]:
        return {
            "loss": float(self.processes.total(self._tr_loss)) / self.processes.count,
            "last_logged": self._globalstep_last_logged,
            "sums": None if self._sums is None else self.processes.total(torch.stack(self._sums)).tolist(),
        }

    def _load_rng_state(self, checkpoint: str | None) -> None:
        super()._load_rng_state(checkpoint)  # the last thing that transformers restores
        if checkpoint is None:
            return
        if self.processes.count > 1:
            go_on_drawing(Path(checkpoint) / _RANDOM_STATES, self.args.seed, self.state.global_step, self.processes)
        path = Path(checkpoint) / _LOG_STATE
        if path.exists() and self._sums is None:
            state = read_json(path)
            self._tr_loss += state["loss"]
            self._globalstep_last_logged = state["last_logged"]
            if state["sums"] is not None:
                # They are of all processes: the first one has them from now on.
                mine = float(self.processes.first)
                self._sums = [torch.tensor(value * mine, device=self.args.device) for value in state["sums"]]

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if self.args.should_save:
            self.saved.save(output_dir or str(self.args.output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_weights(self.saved.model, Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        if self.state.best_model_checkpoint is not None:
            require_whole(Path(self.state.best_model_checkpoint))
            load_weights(self.saved.model, Path(self.state.best_model_checkpoint))
