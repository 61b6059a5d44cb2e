"""`python inference_child.py REQUEST.json`: one contender of inference_speed.py, in a process of its own.

It loads what the request names, and then does what it reads on its standard input, a JSON object a line: ``run`` and
``latency`` answer rows and say how long it took, ``peak`` says the most memory that the process ever had. Answers go to
standard output, one JSON object a line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

Answers = list[tuple[str | None, str]]  # label and explanation of each row
Contender = Callable[[Sequence[Any]], Answers]

BATCH = 16  # of the two naive ways


def ours(request: dict[str, Any]) -> Contender:
    """`Student.predict`, over PyTorch or over a package, window by window as `predict` does."""
    from dataclasses import replace

    from reasondistill.students.prediction_files import WINDOW
    from reasondistill.students.student import Student

    student = Student.load(request["path"])
    generation = student.generation.model_copy(update={"num_beams": request["num_beams"]})
    student = replace(student, generation=generation)

    def answer(examples: Sequence[Any]) -> Answers:
        windows = [examples[i : i + WINDOW] for i in range(0, len(examples), WINDOW)]
        return [(p.label, p.explanation) for window in windows for p in student.predict(window)]

    return answer


def transformers_generate(request: dict[str, Any]) -> Contender:
    """What transformers' documentation leads to: each label's loss from a forward pass, and `generate`, in float32.

    `generate` writes label and explanation in one go, as transformers cannot force prefixes of different lengths on the
    rows of a batch.
    """
    import torch

    from reasondistill.runs import find_student
    from reasondistill.students.checkpoint import load_checkpoint
    from reasondistill.tasks.reading_outputs import parse

    checkpoint = load_checkpoint(find_student(request["path"]))
    model, tokenizer, student = checkpoint.model.float().eval(), checkpoint.tokenizer, checkpoint.settings
    settings = student.generation.model_dump() | {"num_beams": request["num_beams"]}
    codec, labels = checkpoint.codec, student.task.labels or ()
    special = {name: getattr(codec, name) for name in ("pad_token_id", "eos_token_id", "decoder_start_token_id")}

    @torch.inference_mode()
    def answer(examples: Sequence[Any]) -> Answers:
        answers: Answers = []
        for batch, prompts in _batches(student, examples):
            inputs = tokenizer(
                prompts, padding=True, truncation=True, max_length=student.max_source_length, return_tensors="pt"
            )
            inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
            scores = []
            for label in labels:
                ids = torch.tensor([codec.encode_prefix(label)[1:]] * len(batch))
                logits = model(**inputs, labels=ids).logits
                scores.append(logits.log_softmax(-1).gather(-1, ids[..., None]).sum((1, 2)))
            chosen = torch.stack(scores).argmax(0).tolist()
            written = model.generate(**inputs, **settings, **special, do_sample=False)
            texts = tokenizer.batch_decode(written, skip_special_tokens=True)
            for label, text in zip(chosen, texts, strict=True):
                answers.append((labels[label], parse(student.order, text.strip(), labels).explanation))
        return answers

    return answer


def translate_batch(request: dict[str, Any]) -> Contender:
    """CTranslate2 as its documentation leads to: `score_batch` of each label, `translate_batch` after the best one."""
    import ctranslate2

    from reasondistill.students.package.opening import load_package

    package = load_package(request["path"])
    student, codec = package.settings, package.engine.codec
    vocabulary = json.loads((Path(request["path"]) / "shared_vocabulary.json").read_text(encoding="utf-8"))
    ids = {token: i for i, token in enumerate(vocabulary)}
    del package.engine.translator
    translator = ctranslate2.Translator(request["path"], intra_threads=request["threads"])
    labels, settings = student.task.labels or (), student.generation

    def tokens(some: Sequence[int]) -> list[str]:
        return [vocabulary[i] for i in some]

    label_tokens = [tokens(codec.encode_prefix(label)[1:]) for label in labels]
    starts = [tokens(codec.encode_prefix(f"{label} explanation:")[1:]) for label in labels]

    def answer(examples: Sequence[Any]) -> Answers:
        answers: Answers = []
        for batch, prompts in _batches(student, examples):
            sources = [tokens(ids) for ids in codec.encode_prompts(prompts)]
            scores = translator.score_batch(
                [source for source in sources for _ in labels], [ids for _ in sources for ids in label_tokens]
            )
            chosen = []
            for i in range(len(batch)):
                row = scores[i * len(labels) : (i + 1) * len(labels)]
                # The last one is the end's, which score_batch adds.
                totals = [sum(result.log_probs[:-1]) for result in row]
                chosen.append(max(range(len(labels)), key=totals.__getitem__))
            results = translator.translate_batch(
                sources,
                target_prefix=[starts[k] for k in chosen],
                beam_size=request["num_beams"],
                length_penalty=settings.length_penalty,
                repetition_penalty=settings.repetition_penalty,
                no_repeat_ngram_size=settings.no_repeat_ngram_size,
                max_decoding_length=settings.max_new_tokens + max(map(len, starts)),
            )
            for k, result in zip(chosen, results, strict=True):
                text = codec.decode(ids[token] for token in result.hypotheses[0][len(starts[k]) :])
                answers.append((labels[k], text))
        return answers

    return answer


def _batches(student: Any, examples: Sequence[Any]) -> Iterator[tuple[Sequence[Any], list[str]]]:
    for begin in range(0, len(examples), BATCH):
        batch = examples[begin : begin + BATCH]
        yield batch, [student.task.render_prompts(student.order, example)["label"] for example in batch]


WAYS = {"ours": ours, "transformers": transformers_generate, "translate_batch": translate_batch}


def main(request_file: str) -> None:
    from reasondistill.contracts.records import Example
    from reasondistill.evaluation.efficiency.process import peak_resident_bytes

    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    answer = WAYS[request["way"]](request)
    examples = [Example.model_validate(row) for row in request["examples"]]
    answer(examples[: 2 * BATCH])
    _say({"ready": True})
    for line in sys.stdin:
        command = json.loads(line)["do"]
        if command == "run":
            clock, processor = time.perf_counter(), time.process_time()
            answers = answer(examples)
            spent = {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}
            _say(spent | {"answers": answers})
        elif command == "latency":
            _say({"milliseconds": [_timed(answer, example) for example in examples[: request["latency_rows"]]]})
        elif command == "peak":
            _say({"bytes": peak_resident_bytes(), "torch": "torch" in sys.modules})


def _timed(answer: Contender, example: Any) -> float:
    begun = time.perf_counter()
    answer([example])
    return 1000 * (time.perf_counter() - begun)


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
