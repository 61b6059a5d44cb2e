"""Models of every YAML file, a module a subject.

In come YAML files and overrides; out goes a validated, frozen configuration, or every mistake at once.
"""

from reasondistill.config.base_config import BUDGET as BUDGET
from reasondistill.config.base_config import LONGEST as LONGEST
from reasondistill.config.base_config import Config as Config
from reasondistill.config.base_config import Positive as Positive
from reasondistill.config.config_files import changed as changed
from reasondistill.config.config_files import lay_over as lay_over
from reasondistill.config.config_files import load_config as load_config
from reasondistill.config.config_files import set_key as set_key
from reasondistill.config.config_files import with_values as with_values
from reasondistill.config.data_config import Augment as Augment
from reasondistill.config.data_config import Confidence as Confidence
from reasondistill.config.data_config import Data as Data
from reasondistill.config.data_config import Edit as Edit
from reasondistill.config.data_config import Mixing as Mixing
from reasondistill.config.data_config import Source as Source
from reasondistill.config.data_config import Sources as Sources
from reasondistill.config.eval_config import FAITHFULNESS_TIMES as FAITHFULNESS_TIMES
from reasondistill.config.eval_config import EvalConfig as EvalConfig
from reasondistill.config.eval_config import EvaluateOptions as EvaluateOptions
from reasondistill.config.eval_config import EvaluationSettings as EvaluationSettings
from reasondistill.config.eval_config import Generation as Generation
from reasondistill.config.federate_config import FedAdam as FedAdam
from reasondistill.config.federate_config import FedAvg as FedAvg
from reasondistill.config.federate_config import FederateConfig as FederateConfig
from reasondistill.config.federate_config import Federation as Federation
from reasondistill.config.federate_config import FedProx as FedProx
from reasondistill.config.federate_config import Privacy as Privacy
from reasondistill.config.federate_config import federation_config as federation_config
from reasondistill.config.judge_config import FrozenJudgeEncoder as FrozenJudgeEncoder
from reasondistill.config.judge_config import JudgeConfig as JudgeConfig
from reasondistill.config.judge_config import JudgeData as JudgeData
from reasondistill.config.judge_config import JudgeFitting as JudgeFitting
from reasondistill.config.judge_config import JudgeNetwork as JudgeNetwork
from reasondistill.config.judge_config import JudgeTraining as JudgeTraining
from reasondistill.config.judge_config import VotesTraining as VotesTraining
from reasondistill.config.judge_config import WordJudgeEncoder as WordJudgeEncoder
from reasondistill.config.student_config import Denoising as Denoising
from reasondistill.config.student_config import HubStudent as HubStudent
from reasondistill.config.student_config import ScratchStudent as ScratchStudent
from reasondistill.config.student_config import Shrink as Shrink
from reasondistill.config.student_config import Student as Student
from reasondistill.config.student_config import WarmStartStudent as WarmStartStudent
from reasondistill.config.task_by_name import ConfiguredTask as ConfiguredTask
from reasondistill.config.train_config import Lora as Lora
from reasondistill.config.train_config import Loss as Loss
from reasondistill.config.train_config import Part as Part
from reasondistill.config.train_config import Schedule as Schedule
from reasondistill.config.train_config import TrainConfig as TrainConfig
from reasondistill.config.update_config import Update as Update
