"""Judges: how well an explanation argues for its label, learned from explained data.

In come explained examples to train one, then explanations with their labels; out goes support in [0, 1] and the label
that an explanation argues for. A judge's folder records what it was trained on, so that nothing judges its own data.
"""

from reasondistill.judges.argued import Argued as Argued
from reasondistill.judges.argued import argued_of as argued_of
from reasondistill.judges.argued import fields_of as fields_of
from reasondistill.judges.judge import Judge as Judge
from reasondistill.judges.judge import Support as Support
from reasondistill.judges.learning import train_judge as train_judge
