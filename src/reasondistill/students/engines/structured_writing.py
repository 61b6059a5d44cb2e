"""How a student writes a structured explanation: held to the grammar of its example, and read out by a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reasondistill.config import Generation
from reasondistill.errors import TaskError
from reasondistill.students.engines.engine import Engine, Generated, RuledEngine
from reasondistill.students.line_grammar import LineGrammar
from reasondistill.students.step_grammar import StepGrammar
from reasondistill.tasks.reading_outputs import LABEL_MARK, explanation_stop
from reasondistill.tasks.step_structures import StepStructure
from reasondistill.tasks.structures import Structure
from reasondistill.tasks.task import OutputOrder, explanation_prefix


class Argued(NamedTuple):
    """What a structure is written for: an example's fields, and the label that is decided already, if one is."""

    prompt: str
    fields: Mapping[str, str]
    label: str | None


def write_lines(
    engine: Engine,
    structure: Structure | StepStructure,
    order: OutputOrder,
    rows: Sequence[Argued],
    generation: Generation,
) -> list[Generated]:
    """A line for each row, of a relation or of steps, greedily; empty where a field has nothing to copy or to refer to.

    Of the generation's settings only ``max_new_tokens`` counts. A decided label limits the relations to its own.

    Raises:
        TaskError: the engine cannot be held to a grammar, or its tokenizer cannot write the relations.
        ConfigError: ``max_new_tokens`` is too small for any line.
    """
    if not isinstance(engine, RuledEngine):
        raise TaskError("structure", expected="an engine that can be held to a grammar", found=type(engine).__name__)
    ending = f" {LABEL_MARK}" if order == "explanation_first" else ""
    prefixes = [explanation_prefix(order, row.label) for row in rows]
    codec, room = engine.codec, generation.max_new_tokens
    grammars: dict[str, LineGrammar | StepGrammar] = {
        prefix: StepGrammar(codec, structure, prefix=prefix, ending=ending, room=room)
        if isinstance(structure, StepStructure)
        else LineGrammar(codec, structure, prefix=prefix, ending=ending, room=room)
        for prefix in set(prefixes)
    }
    rules = [grammars[prefix].rule(row.fields, row.label) for prefix, row in zip(prefixes, rows, strict=True)]
    ruled = [(k, rule) for k, rule in enumerate(rules) if rule is not None]
    texts = engine.generate_within(
        [rows[k].prompt for k, _ in ruled],
        [prefixes[k] for k, _ in ruled],
        [rule for _, rule in ruled],
        generation.max_new_tokens,
    )
    written = [Generated("", False)] * len(rows)
    for (k, _), text in zip(ruled, texts, strict=True):
        written[k] = text._replace(text=explanation_stop(order, text.text))
    return written
