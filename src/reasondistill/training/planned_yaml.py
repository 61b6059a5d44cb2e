"""A planned training as a YAML file whose comments say what each block is, and what one would change."""

from __future__ import annotations

from typing import Final

import yaml

from reasondistill.training.planning import Plan

_COMMENTS: Final = {
    "name": "The run's folder is runs_dir/name: a new name for each run. runs_dir is experiments/runs by default.",
    "runs_dir": "The folder of all runs.",
    "seed": "Of random weights and of the order of rows.",
    "task": "What is asked: the fields that the student reads, and the labels that it decides between.",
    "order": "label_first, explanation_first, label_only, explanation_only, or separate (two prompts).",
    "data": "Where the rows are. columns: which column holds what. split: which rows; a hash decides where no row\n"
    "names its split. limit: use only the first N rows. explanations_per_example: learn from so many of a row's.",
    "student": "Who learns. kind: hub (a checkpoint), scratch (random weights) or warm_start (out of an encoder).",
    "max_source_length": "Tokens of a prompt; what is longer is cut, and the training says so.",
    "max_target_length": "Tokens of label and explanation.",
    "loss": "Weights of both terms: alpha of the label, beta of the explanation.",
    "training": "Arguments of transformers.Seq2SeqTrainingArguments, under their own names. For less memory halve\n"
    "per_device_train_batch_size and double gradient_accumulation_steps; for more learning raise max_steps.",
    "early_stopping_patience": "End after so many validations without a gain in metric_for_best_model.",
    "encoder_learning_rate": "Of the encoder and the embeddings, which have learned before.",
    "generation": "How explanations are written. num_beams: 1 is fastest.",
    "evaluation": "How `evaluate` and `distil` score. budget: seconds for costs, and five times as many for tests of\n"
    "faithfulness; 120 measures more rows.",
}


def as_yaml(plan: Plan, data: str) -> str:
    """The file's text; read again, it gives the same configuration as the plan.

    Args:
        data: the name of the data set, for the heading.
    """
    heading = [f"`reasondistill train {data}` as a file. docs/configuration.md lists all keys."]
    heading += [f"{what}: {words}" for what, words in plan.lines()]
    values = {"name": None, "task": None, **plan.values, "seed": plan.config.seed}
    values.setdefault("loss", plan.config.loss.model_dump(mode="json"))
    blocks = ["".join(map(_comment, heading))]
    for key in sorted(values, key=_place):
        comment = "".join(map(_comment, _COMMENTS.get(key, "").splitlines()))
        blocks.append(comment + _dumped(key, values[key]))
    return "\n".join(blocks)


def _place(key: str) -> int:
    return [*_COMMENTS].index(key) if key in _COMMENTS else len(_COMMENTS)


def _dumped(key: str, value: object) -> str:
    """A key on a line each; lists on one."""
    nested = isinstance(value, dict) and any(isinstance(inner, dict | list) for inner in value.values())
    style = None if nested else False
    return yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=110, default_flow_style=style)


def _comment(line: str) -> str:
    return f"# {''.join(c if c.isprintable() else ' ' for c in line)}\n"
