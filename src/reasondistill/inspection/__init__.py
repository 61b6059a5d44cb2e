"""Looking inside a student: its parts, its attention, the gradients of each loss, the loss around its weights.

In come a student in memory and examples; out go plain arrays and tables for notebooks. Nothing is written or trained.
What students are made and fed with (codec, features, packing, vocabulary, mixtures) is handed on, for a close look.
"""

from reasondistill.config import Mixing as Mixing
from reasondistill.config import Shrink as Shrink
from reasondistill.data.transforms.mixing import Mixture as Mixture
from reasondistill.inspection.attention import CrossAttention as CrossAttention
from reasondistill.inspection.attention import cross_attention as cross_attention
from reasondistill.inspection.attention import pieces as pieces
from reasondistill.inspection.gradients import PartGradient as PartGradient
from reasondistill.inspection.gradients import gradient_flow as gradient_flow
from reasondistill.inspection.landscape import Plane as Plane
from reasondistill.inspection.landscape import loss_plane as loss_plane
from reasondistill.inspection.parts import parameters_by_part as parameters_by_part
from reasondistill.students.build import create_student as create_student
from reasondistill.students.build import texts_of as texts_of
from reasondistill.students.checkpoint import load_checkpoint as load_checkpoint
from reasondistill.students.codec import Codec as Codec
from reasondistill.students.packing import plan_rows as plan_rows
from reasondistill.students.shrinking import shrink as shrink
from reasondistill.students.vocabulary import trim_tokenizer as trim_tokenizer
from reasondistill.students.warm_start import encoder_path as encoder_path
from reasondistill.training.features import Collator as Collator
from reasondistill.training.features import build_features as build_features
from reasondistill.training.joint_model import JointModel as JointModel
