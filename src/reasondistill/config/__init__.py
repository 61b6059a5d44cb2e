"""Models of every YAML file, a module a subject.

In come YAML files and overrides; out goes a validated, frozen configuration, or every mistake at once.
"""

from reasondistill.config.base_config import BUDGET, LONGEST, Config, Positive
from reasondistill.config.config_files import changed, lay_over, load_config, set_key
from reasondistill.config.data_config import Augment, Confidence, Data, Edit, Mixing, Source, Sources
from reasondistill.config.eval_config import (
    FAITHFULNESS_TIMES,
    EvalConfig,
    EvaluateOptions,
    EvaluationSettings,
    Generation,
)
from reasondistill.config.federate_config import FedAdam, FedAvg, FederateConfig, Federation, FedProx, Privacy
from reasondistill.config.judge_config import (
    FrozenJudgeEncoder,
    JudgeConfig,
    JudgeData,
    JudgeFitting,
    JudgeNetwork,
    JudgeTraining,
    VotesTraining,
    WordJudgeEncoder,
)
from reasondistill.config.student_config import Denoising, HubStudent, ScratchStudent, Shrink, Student, WarmStartStudent
from reasondistill.config.task_by_name import ConfiguredTask
from reasondistill.config.train_config import Lora, Loss, Part, Schedule, TrainConfig
from reasondistill.config.update_config import Update

__all__ = [
    "BUDGET",
    "FAITHFULNESS_TIMES",
    "LONGEST",
    "Augment",
    "Confidence",
    "Config",
    "ConfiguredTask",
    "Data",
    "Denoising",
    "Edit",
    "EvalConfig",
    "EvaluateOptions",
    "EvaluationSettings",
    "FedAdam",
    "FedAvg",
    "FedProx",
    "FederateConfig",
    "Federation",
    "FrozenJudgeEncoder",
    "Generation",
    "HubStudent",
    "JudgeConfig",
    "JudgeData",
    "JudgeFitting",
    "JudgeNetwork",
    "JudgeTraining",
    "Lora",
    "Loss",
    "Mixing",
    "Part",
    "Positive",
    "Privacy",
    "Schedule",
    "ScratchStudent",
    "Shrink",
    "Source",
    "Sources",
    "Student",
    "TrainConfig",
    "Update",
    "VotesTraining",
    "WarmStartStudent",
    "WordJudgeEncoder",
    "changed",
    "lay_over",
    "load_config",
    "set_key",
]
