"""Several results -> paired tests on the same rows; one system on two parts -> what it loses from one to the other."""

from reasondistill.comparison.comparing import compare as compare
from reasondistill.comparison.gaps import generalisation as generalisation
from reasondistill.comparison.loading import System as System
from reasondistill.comparison.loading import load_systems as load_systems
from reasondistill.comparison.schema import Comparison as Comparison
from reasondistill.comparison.schema import ComparisonSettings as ComparisonSettings
from reasondistill.comparison.schema import Generalisation as Generalisation
