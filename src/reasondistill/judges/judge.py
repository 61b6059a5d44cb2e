"""A judge: support of explanations in [0, 1], and the folder it is kept in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors.torch import load_file
from safetensors.torch import save as as_bytes

from reasondistill.config import JudgeNetwork
from reasondistill.contracts.records import Example, read_model
from reasondistill.contracts.seals import require_unchanged, seal_folder
from reasondistill.counted import Counted
from reasondistill.errors import CheckpointError, DataError, refused
from reasondistill.judges.acceptance import Acceptance
from reasondistill.judges.argued import Argued, fields_of, texts_of
from reasondistill.judges.components import Models, component_values
from reasondistill.judges.encoders import Encoder, load_encoder
from reasondistill.judges.logistic_regression import FloatArray
from reasondistill.judges.network import Network
from reasondistill.judges.patterns import Delexicalizer, PatternModel, Verdict
from reasondistill.metrics.baselines import quotes_every_field
from reasondistill.metrics.text import is_copy, is_empty
from reasondistill.storage.arrow_cache import cache_folder
from reasondistill.storage.files import atomic_folder, write_json
from reasondistill.storage.sqlite_store import Store, content_key
from reasondistill.tasks.task import Task

JUDGE_FILE, WEIGHTS_FILE, CARD_FILE = "judge.json", "judge.safetensors", "README.md"
_GRAMS, _SEEN, _ACCEPTANCE = "patterns.grams", "seen", "acceptance"
_SHIPPED = Path(__file__).parents[1] / "builtin" / "scenes_judge"
SCHEMA_VERSION: Final = 2
RESTATED = 0.25
"""The factor for the support of an explanation that restates a field, or quotes every field whole: it says nothing new,
but a judge finds its words fitting."""
KEPT_LIMIT = 2**27
"""Bytes of verdicts in the cache folder: about a million verdicts."""
_CACHE_VERSION = 1  # increase it with any change of code that changes the verdicts of unchanged weights
_ROWS_PER_CHUNK = 2048  # limits the states in memory to some hundred megabytes


_Number = Annotated[float, Field(ge=-1e6, le=1e6)]


class Combination(BaseModel):
    """support = sigmoid(bias + sum over components of weight · (value - mean) / deviation)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    components: tuple[str, ...] = Field(min_length=1)
    mean: tuple[_Number, ...]
    deviation: tuple[Annotated[float, Field(gt=0.0, le=1e6)], ...]
    weight: tuple[_Number, ...]
    bias: _Number

    @model_validator(mode="after")
    def _equally_many(self) -> Self:
        if len({len(self.components), len(self.mean), len(self.deviation), len(self.weight)}) > 1:
            raise ValueError("components, mean, deviation and weight are not equally many")
        return self

    def logit(self, values: FloatArray) -> FloatArray:
        """Of components' values (n, C), (n,)."""
        standard = (values - np.array(self.mean)) / np.array(self.deviation)
        return np.asarray(standard @ np.array(self.weight) + self.bias, dtype=np.float64)


class JudgeInfo(BaseModel):
    """The content of ``judge.json``: everything but the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[2] = SCHEMA_VERSION
    name: str
    kind: Literal["without_votes", "with_votes"]
    task: dict[str, Any]
    encoder: dict[str, object]
    network: dict[str, Any]
    members: Annotated[int, Field(ge=1, le=64)]
    """Number of networks; coherence and evidence are the means of their logits."""
    combination: Combination
    words: list[str]
    """The words that patterns keep."""
    pattern_labels: list[str]
    pattern_tokens: list[str]
    verdict: dict[str, object] | None = None
    trained_on: list[dict[str, object]]
    """Name, fingerprint and rows of each data set."""
    held_out: dict[str, Any]
    """Its results on groups that it was not trained on."""
    versions: dict[str, str]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        Task.model_validate(self.task)
        JudgeNetwork.model_validate({**self.network, "members": self.members})
        self.reached("good_against_spoiled", "n", "roc_auc")
        for name in ("without_votes", "with_votes") if self.held_out.get("votes") else ():
            self.reached(f"votes.{name}", "roc_auc", "average_precision")
        return self

    def reached(self, what: str, *names: str) -> list[float]:
        """Figures of ``held_out``, such as ``roc_auc`` of ``votes.with_votes``.

        Raises:
            ValueError: a figure is missing or not a number.
        """
        part: object = self.held_out
        for key in what.split("."):
            part = part.get(key) if isinstance(part, dict) else None
        figures = [part.get(name) if isinstance(part, dict) else None for name in names]
        if not all(isinstance(figure, int | float) and not isinstance(figure, bool) for figure in figures):
            raise ValueError(f"held_out.{what} does not hold the numbers {', '.join(names)}")
        return [figure for figure in figures if figure is not None]


class Support(NamedTuple):
    """A judge's verdict on an explanation: the support and its components."""

    support: float
    components: dict[str, float]


@dataclass
class Judge:
    """How well explanations argue for their labels, according to small models trained on explained data.

    It has five components. *Coherence*: does the explanation belong to this label and these fields? *Evidence*: does it
    argue for this label even without the fields? *Wording*: does its pattern occur in good explanations of this label?
    *Contrast*: more than in those of other labels? *Relevance*: is it about the same as the fields (only with a frozen
    encoder)? A judge *without votes* weighs them equally. One *with votes* learned the weights from people's verdicts,
    its network was fitted to those too, and it has a sixth component, *verdict*: which patterns people accept.
    """

    info: JudgeInfo
    encoder: Encoder
    models: Models
    seen: NDArray[np.uint64]
    """Hashes of the groups and fields it was trained on."""
    cache: bool = True
    """Whether verdicts are cached on disk: systems share people's texts and baselines."""
    _memory: dict[Argued, Support] = field(default_factory=dict, repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over the weights and all settings."""
        digest = hashlib.sha256(self.info.model_dump_json().encode())
        for name, tensor in sorted(self._fitted().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _fitted(self) -> dict[str, torch.Tensor]:
        """All fitted tensors, by the names that they are stored under."""
        tensors = {
            f"network.{k}.{name}": tensor.contiguous()
            for k, network in enumerate(self.models.networks)
            for name, tensor in network.state_dict().items()
        }
        grams = self.models.patterns.to_array({token: k for k, token in enumerate(self.info.pattern_tokens)})
        tensors[_GRAMS] = torch.from_numpy(grams)
        if self.models.acceptance is not None:
            tensors[_ACCEPTANCE] = torch.from_numpy(self.models.acceptance.to_array())
        return tensors

    @property
    def settings(self) -> dict[str, object]:
        """What to record with scores from this judge."""
        return {
            "judge": self.info.name,
            "kind": self.info.kind,
            "fingerprint": self.fingerprint,
            "restated_count": RESTATED,
        }

    def support(self, rows: Iterable[Argued], progress: Callable[[str], None] = lambda stage: None) -> list[float]:
        """The support of each row, in [0, 1]; 0 by rule for an explanation of white space.

        An explanation that restates a field (`metrics.text.is_copy`), or quotes each of several fields whole
        (`metrics.baselines.quotes_every_field`), has a quarter of its support.

        ``progress`` is called with a sentence for each chunk.
        """
        return [verdict.support for verdict in self.explained(rows, progress)]

    def forget(self) -> None:
        """Drop the verdicts in memory: whoever judges without end would keep them all."""
        self._memory.clear()

    def explained(self, rows: Iterable[Argued], progress: Callable[[str], None] = lambda stage: None) -> list[Support]:
        """`support` of each row with its components; an empty explanation has no components."""
        rows = list(rows)
        new = [row for row in dict.fromkeys(rows) if row not in self._memory]
        for row in new:
            if is_empty(row.explanation):
                self._memory[row] = Support(0.0, {})
        new = sorted((row for row in new if row not in self._memory), key=lambda row: (row.fields, row.explanation))
        for start in range(0, len(new), _ROWS_PER_CHUNK):
            progress(Counted("support", start, len(new), "explanations"))
            self._learn(new[start : start + _ROWS_PER_CHUNK])
        return [self._memory[row] for row in rows]

    def _learn(self, rows: Sequence[Argued]) -> None:
        """Remember the verdicts on ``rows``, from the cache folder or newly judged and stored there."""
        names = self.info.combination.components
        keys = {row: content_key(self._identity, *row.fields, row.label, row.explanation) for row in rows}
        kept = self._verdicts.get_many(keys.values()) if self.cache else {}
        fresh = [row for row in rows if keys[row] not in kept]
        judged: dict[bytes, FloatArray] = {}
        if fresh:
            values = component_values(self.models, fresh, self.encoder.encode(texts_of(fresh)), names)
            support = 1 / (1 + np.exp(-self.info.combination.logit(values)))
            support *= np.where([_restates(row) for row in fresh], RESTATED, 1.0)
            judged = {
                keys[row]: verdict for row, verdict in zip(fresh, np.column_stack([support, values]), strict=True)
            }
        for row in rows:
            verdict_row = judged[keys[row]] if keys[row] in judged else np.frombuffer(kept[keys[row]], dtype=np.float64)
            of_all, *of_each = verdict_row.tolist()
            self._memory[row] = Support(of_all, dict(zip(names, of_each, strict=True)))
        if self.cache:
            self._verdicts.put_many({key: verdict_row.tobytes() for key, verdict_row in judged.items()})

    @cached_property
    def _verdicts(self) -> Store:
        return Store(cache_folder() / "support.sqlite", KEPT_LIMIT)

    @cached_property
    def _identity(self) -> str:
        """Everything that a verdict depends on, except its texts."""
        modules = ("torch", "transformers", "tokenizers") if self.encoder.width else ("torch",)
        return "\n".join(
            [f"{_CACHE_VERSION} {self.fingerprint}", *(f"{module} {version(module)}" for module in modules)]
        )

    def refuse_seen(self, examples: Iterable[Example], task: Task) -> None:
        """Refuse examples that this judge was trained on.

        Raises:
            DataError: a group, or the texts of an example, were among its training data.
        """
        seen = set(self.seen.tolist())
        trained_on = [e.id for e in examples if not seen.isdisjoint(hashes_of(e, task).tolist())]
        if trained_on:
            few = ", ".join(trained_on[:3])
            raise DataError(
                "judge",
                expected="a judge that was not trained on the rows it is to judge",
                found=f"{len(trained_on)} rows with groups or texts that {self.info.name!r} was trained on ({few})",
                fix="Evaluate another split, or train a judge without this one (`reasondistill judge train`).",
            )

    def refuse_task(self, task: Task) -> None:
        """Refuse to judge another task than the judge's own.

        Raises:
            DataError: fields or labels differ.
        """
        own = self.info.task
        labels = None if task.labels is None else list(task.labels)
        if list(task.fields) != own["fields"] or labels != own["labels"]:
            raise DataError(
                "judge",
                expected=f"explanations of the task {own['name']!r} (fields {own['fields']}, labels {own['labels']})",
                found=f"those of {task.name!r} (fields {list(task.fields)}, labels {labels})",
                fix="Train a judge for this task (`reasondistill judge train`).",
            )

    def _require_judging(self) -> None:
        """Let the judge judge a made-up explanation.

        Raises:
            ValueError: the support is not a number.
        """
        labels = [*self.info.pattern_labels, "none of them"]
        rows = [Argued(("a word",) * len(self.info.task["fields"]), label, "one, and another") for label in labels]
        encoded = self.encoder.encode(texts_of(rows))
        values = component_values(self.models, rows, encoded, self.info.combination.components)
        if not np.isfinite(self.info.combination.logit(values)).all():
            raise ValueError("a support that is no number")

    def save(self, out: str | Path, card: str) -> None:
        """Write the judge into the new folder ``out``: whole or not at all.

        Raises:
            OutputError: ``out`` exists and is not empty.
        """
        with atomic_folder(out) as folder:
            write_json(folder / JUDGE_FILE, self.info.model_dump(mode="json"))
            tensors = {**self._fitted(), _SEEN: torch.from_numpy(self.seen.view(np.int64))}
            # save_file would make it readable for this user only
            (folder / WEIGHTS_FILE).write_bytes(as_bytes(tensors))
            (folder / CARD_FILE).write_text(card, encoding="utf-8")
            seal_folder(folder)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Judge:
        """Read a judge: a folder, or ``builtin:scenes``, which is shipped.

        Raises:
            CheckpointError: the folder is not a judge, is damaged, was changed since it was sealed, or has another
                format version; or its encoder is not available.
            MissingExtraError: its encoder comes with an extra that is not installed.
        """
        folder = _SHIPPED if str(folder) == "builtin:scenes" else Path(folder)
        if not (folder / JUDGE_FILE).is_file():
            raise CheckpointError(
                folder,
                expected=f"a judge's folder, with {JUDGE_FILE}",
                found="none",
                fix="`reasondistill judge train CONFIG` makes one.",
            )
        require_unchanged(folder)
        fix = "Copy the judge's folder again, or train the judge again."
        info = read_model(JudgeInfo, folder / JUDGE_FILE, SCHEMA_VERSION, expected="a judge", fix=fix)
        with refused(folder, "a judge as `judge train` writes it"):
            tensors = load_file(folder / WEIGHTS_FILE)
            if odd := [
                name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()
            ]:
                found = f"NaN or infinity in {odd[0]}"
                raise CheckpointError(folder, expected="weights that are finite numbers", found=found, fix=fix)
            encoder = load_encoder(info.encoder)
            models = Models(
                tuple(_network(k, info, encoder, tensors) for k in range(info.members)),
                Delexicalizer(info.words),
                PatternModel.from_array(info.pattern_labels, info.pattern_tokens, tensors[_GRAMS].numpy()),
                None if info.verdict is None else Verdict.from_json(info.verdict),
                Acceptance.from_array(tensors[_ACCEPTANCE].numpy()) if _ACCEPTANCE in tensors else None,
            )
            seen = tensors[_SEEN].numpy().view(np.uint64)
            judge = cls(info, encoder, models, seen)
            judge._require_judging()
        return judge


def _restates(row: Argued) -> bool:
    fields = {str(k): text for k, text in enumerate(row.fields)}
    return is_copy(row.explanation, fields) or quotes_every_field(row.explanation, fields)


def _network(member: int, info: JudgeInfo, encoder: Encoder, tensors: dict[str, torch.Tensor]) -> Network:
    with torch.device("meta"):  # whatever sizes are named, only stored weights are filled in
        network = Network(width=encoder.width, vocabulary_size=encoder.vocabulary_size, **info.network)
    prefix = f"network.{member}."
    stored = {n.removeprefix(prefix): t.float() for n, t in tensors.items() if n.startswith(prefix)}
    network.load_state_dict(stored, assign=True)
    return network.eval()


def hashes_of(example: Example, task: Task) -> NDArray[np.uint64]:
    """Hashes that identify an example in any file: of its group and of its fields' texts, (1 or 2)."""
    known = ["\x1f".join(text.casefold().strip() for text in fields_of(example, task))]
    if example.group is not None:
        known.append(f"group\x1f{example.group}")
    return np.array([int.from_bytes(hashlib.sha256(k.encode()).digest()[:8], "big") for k in known], dtype=np.uint64)
