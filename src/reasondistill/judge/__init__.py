"""Support: how well an explanation argues for its label, by a judge that learned it from explained data."""

from reasondistill.judge.argued import Argued as Argued
from reasondistill.judge.argued import argued_of as argued_of
from reasondistill.judge.argued import fields_of as fields_of
from reasondistill.judge.model import Judge as Judge
from reasondistill.judge.model import Support as Support
from reasondistill.judge.training import train_judge as train_judge
