"""Which filters to run, with which settings: the key ``filters`` of a teaching configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue, ValidationError, field_validator

from reasondistill.config import Config
from reasondistill.contracts.records import problems_of
from reasondistill.teachers.filters.filter_definition import Filter
from reasondistill.teachers.filters.registered_filters import known_filters

Use = bool | dict[str, JsonValue]


class FiltersConfig(Config):
    """Filters of teachers' answers."""

    use: dict[str, Use] = Field(default_factory=dict)
    """A filter's name → its settings, ``true`` to run it as it is, or ``false`` to leave it out. Others run by default
    or not, as docs/filters.md says."""
    unexplained: Literal["keep", "drop"] = "keep"
    """What to do with a labelled row whose explanations were all rejected: keep its label, or drop the row."""

    @field_validator("use")
    @classmethod
    def _known(cls, value: dict[str, Use]) -> dict[str, Use]:
        kinds = {kind.name: kind for kind in known_filters()}
        problems = [f"{name} is no filter; there are {', '.join(kinds)}" for name in value.keys() - kinds.keys()]
        for name, settings in value.items():
            if name in kinds and settings is False and kinds[name].required:
                problems.append(f"{name} cannot be left out")
            if name in kinds and settings is not False:
                try:
                    kinds[name].model_validate({} if settings is True else settings)
                except ValidationError as error:
                    problems.append(f"{name}: {problems_of(error)}")
        if problems:
            raise ValueError("; ".join(sorted(problems)))
        return value

    def chosen(self) -> list[Filter]:
        """The filters to run, in the order of their turns."""
        chosen = []
        for kind in known_filters():
            settings = self.use.get(kind.name, kind.on)
            if settings is not False:
                chosen.append(kind.model_validate({} if settings is True else settings))
        return chosen
