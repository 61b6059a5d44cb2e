"""Fine-tunes a BERT-like encoder into a sequence classifier, which `reasondistill teach` takes as a teacher.

    python examples/classifier_teacher.py esnli_dev.csv --encoder sentence-transformers/all-mpnet-base-v2 --out teacher
    reasondistill data pair esnli_dev.csv --split train --across-fields --out pairs.jsonl
    reasondistill teach configs/teach_esnli_classifier.yaml

It learns from the training split, is scored on the validation split six times, and keeps the best. The test split is
never read. Lower layers can be frozen (``--freeze``): what they compute is general, and a step takes less. Stopped
and started again, it goes on from its last checkpoint. Any task with one or two fields and labels works.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

import reasondistill as rd


def rows(data: Any, tokenizer: Any, labels: list[str], limit: int | None, length: int) -> list[dict[str, Any]]:
    """Token ids and label of each labelled row."""
    features = []
    for example in data.first(limit) if limit else data:
        if example.label is not None:
            encoded = tokenizer(*example.fields.values(), truncation=True, max_length=length)
            features.append({**encoded, "labels": labels.index(example.label)})
    return features


def freeze(model: Any, layers: int) -> None:
    """Keep the embeddings and this many of the lowest layers as they are.

    So is what all layers share, such as MPNet's position bias: it alone would ask for a backward pass through them all.
    """
    if not layers:
        return
    encoder = model.base_model.encoder
    shared = [part for name, part in encoder.named_children() if name != "layer"]
    for part in (model.base_model.embeddings, *shared, *encoder.layer[:layers]):
        part.requires_grad_(False)


def accuracy(evaluation: Any) -> dict[str, float]:
    return {"accuracy": float(np.mean(evaluation.predictions.argmax(-1) == evaluation.label_ids))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--encoder", required=True, help="A folder or hub id of a BERT-like encoder.")
    parser.add_argument("--out", type=Path, required=True, help="The folder of the classifier.")
    parser.add_argument("--freeze", type=int, default=0, help="How many of the lowest layers stay as they are.")
    parser.add_argument("--limit", type=int, help="Use only the first N rows of each split, for a first try.")
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=3e-5)
    parser.add_argument("--max-length", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    torch.manual_seed(given.seed)
    train, validation = (rd.load_dataset(given.data, split=split) for split in ("train", "validation"))
    labels = sorted({example.label for example in train if example.label is not None})
    tokenizer = AutoTokenizer.from_pretrained(given.encoder)
    model = AutoModelForSequenceClassification.from_pretrained(
        given.encoder, id2label=dict(enumerate(labels)), label2id={label: k for k, label in enumerate(labels)}
    )
    freeze(model, given.freeze)
    learned = rows(train, tokenizer, labels, given.limit, given.max_length)
    held_out = rows(validation, tokenizer, labels, given.limit, given.max_length)
    steps = max(1, round(len(learned) * given.epochs / given.batch))
    part = max(1, steps // 6)
    arguments = TrainingArguments(
        output_dir=str(given.out / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=given.batch,
        per_device_eval_batch_size=64,
        learning_rate=given.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=steps // 10,
        weight_decay=0.01,
        eval_strategy="steps",
        eval_steps=part,
        save_strategy="steps",
        save_steps=part,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        logging_steps=max(1, part // 5),
        train_sampling_strategy="group_by_length",  # a third fewer tokens are padding
        seed=given.seed,
        report_to="none",
    )
    trainer = Trainer(
        model,
        arguments,
        train_dataset=learned,
        eval_dataset=held_out,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
    )
    trainer.train(resume_from_checkpoint=any(given.out.glob("checkpoints/checkpoint-*")))
    trainer.save_model(str(given.out))
    tokenizer.save_pretrained(str(given.out))
    print(f"{given.out}: accuracy {trainer.evaluate()['eval_accuracy']:.3f} on {len(held_out):,} validation rows")


if __name__ == "__main__":
    main()
