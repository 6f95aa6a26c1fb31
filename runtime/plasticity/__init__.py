"""Learning rules as data: one small strict class a rule, one compiled kernel in `reflexarc.ext`.

docs/write-a-rule.md shows how to add one.
"""

from reflexarc.runtime.plasticity.bcm import Bcm
from reflexarc.runtime.plasticity.clopath import Clopath
from reflexarc.runtime.plasticity.eprop import EProp
from reflexarc.runtime.plasticity.homeostasis import IntrinsicHomeostasis
from reflexarc.runtime.plasticity.oja import Oja
from reflexarc.runtime.plasticity.pair import PairStdp
from reflexarc.runtime.plasticity.pes import Pes
from reflexarc.runtime.plasticity.reward import RewardStdp
from reflexarc.runtime.plasticity.rewiring import Rewiring
from reflexarc.runtime.plasticity.rule import KernelRule, Rule, get_include, own_rules
from reflexarc.runtime.plasticity.scaling import SynapticScaling
from reflexarc.runtime.plasticity.sdsp import Sdsp
from reflexarc.runtime.plasticity.shortterm import ShortTerm
from reflexarc.runtime.plasticity.stepped import SteppedRule
from reflexarc.runtime.plasticity.triplet import TripletStdp
from reflexarc.runtime.plasticity.upkeep import Held, Upkeep, agreed, contradiction, holding
from reflexarc.runtime.plasticity.vogels import Vogels
from reflexarc.runtime.plasticity.voja import Voja

__all__ = [
    "Bcm",
    "Clopath",
    "EProp",
    "Held",
    "IntrinsicHomeostasis",
    "KernelRule",
    "Oja",
    "PairStdp",
    "Pes",
    "RewardStdp",
    "Rewiring",
    "Rule",
    "Sdsp",
    "ShortTerm",
    "SteppedRule",
    "SynapticScaling",
    "TripletStdp",
    "Upkeep",
    "Vogels",
    "Voja",
    "agreed",
    "contradiction",
    "get_include",
    "holding",
    "own_rules",
]
