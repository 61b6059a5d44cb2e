"""Support: how well an explanation argues for its label, by a judge that learned it from explained data."""

from reasondistill.judges.argued import Argued as Argued
from reasondistill.judges.argued import argued_of as argued_of
from reasondistill.judges.argued import fields_of as fields_of
from reasondistill.judges.judge import Judge as Judge
from reasondistill.judges.judge import Support as Support
from reasondistill.judges.learning import train_judge as train_judge
