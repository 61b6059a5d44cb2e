"""`scenes`: caption pairs with explanations, written by a small grammar; `generating` says how."""

from reasondistill.data.scenes.generating import generate as generate
from reasondistill.data.scenes.world import EXCLUSIVE as EXCLUSIVE
from reasondistill.data.scenes.world import FRAMES as FRAMES
from reasondistill.data.scenes.world import LABELS as LABELS
from reasondistill.data.scenes.world import PEOPLE as PEOPLE
from reasondistill.data.scenes.world import Aspect as Aspect
from reasondistill.data.scenes.world import Frame as Frame
from reasondistill.data.scenes.world import entails as entails
from reasondistill.data.scenes.world import excludes as excludes
from reasondistill.data.scenes.world import phrases as phrases
