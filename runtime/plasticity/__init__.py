"""Learning rules as data: one small strict class a rule, one compiled kernel in `reflexarc.ext`.

docs/write-a-rule.md shows how to add one.
"""

from reflexarc.runtime.plasticity.clopath import Clopath
from reflexarc.runtime.plasticity.pair import PairStdp
from reflexarc.runtime.plasticity.pes import Pes
from reflexarc.runtime.plasticity.reward import RewardStdp
from reflexarc.runtime.plasticity.rule import KernelRule, Rule, get_include, own_rules
from reflexarc.runtime.plasticity.sdsp import Sdsp
from reflexarc.runtime.plasticity.triplet import TripletStdp
from reflexarc.runtime.plasticity.vogels import Vogels

__all__ = [
    "Clopath",
    "KernelRule",
    "PairStdp",
    "Pes",
    "RewardStdp",
    "Rule",
    "Sdsp",
    "TripletStdp",
    "Vogels",
    "get_include",
    "own_rules",
]
