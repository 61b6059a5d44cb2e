"""Looking inside a student: its parts, where it looks, how each loss pulls at it, the loss around its weights.

In come a student in memory and examples; out go plain arrays and tables for notebooks. Nothing is written or trained.
"""

from reasondistill.inspection.attention import CrossAttention as CrossAttention
from reasondistill.inspection.attention import cross_attention as cross_attention
from reasondistill.inspection.attention import pieces as pieces
from reasondistill.inspection.gradients import PartGradient as PartGradient
from reasondistill.inspection.gradients import gradient_flow as gradient_flow
from reasondistill.inspection.landscape import Plane as Plane
from reasondistill.inspection.landscape import loss_plane as loss_plane
from reasondistill.inspection.parts import parameters_by_part as parameters_by_part
