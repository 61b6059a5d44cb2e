"""How a run goes on from a finished one: what keeps it from forgetting, and what it has to hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasondistill.config.base_config import Config, Positive, Weight
from reasondistill.config.data_config import Source

Margin = Annotated[float, Field(ge=0.0, le=1.0)]


class Update(Config):
    """What a run owes to its parent. Without any of the first four keys nothing keeps it from forgetting: the control.

    The methods can be joined: each is on where its key is not 0.
    """

    parent: str
    """The folder of the run that this one goes on from."""
    replay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Share of the groups that the parent, and its own parents, learned from, which are learned again."""
    self_replay: Source | None = None
    """Texts to which the parent's own answers are learned again; whatever labels they have are not read."""
    distillation: Weight = 0.0
    """Weight of the divergence from the parent's probabilities of each supervised token (Li and Hoiem 2016)."""
    ewc: Weight = 0.0
    """Weight of elastic weight consolidation (Kirkpatrick et al. 2017)."""
    ewc_rows: Positive = 200
    """Rows of ``replay`` or ``self_replay``, else of what the parent learned from, that tell which weights matter."""
    grow_vocabulary: bool = False
    """Give a student with a trimmed or trained vocabulary the words of the new data that it lacks."""
    keep: list[Source] = Field(default_factory=list)
    """What has to be held; by default what the parent, and its own parents, held out."""
    limit: Positive | None = None
    """Test only the first N rows of each set."""
    margin: Margin = 0.02
    """The most that accuracy, support, ROUGE-L or ECE of a kept set may lose, shown by the 95% interval."""
    margin_by_label: Margin = 0.05
    """The most that one of these may lose on the rows of a label; refused where the interval shows a loss."""
