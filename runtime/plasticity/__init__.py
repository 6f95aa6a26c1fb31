"""Learning rules as data: one small strict class a rule, one compiled kernel in `reflexarc.ext`.

docs/write-a-rule.md shows how to add one.
"""

from reflexarc.runtime.plasticity.homeostasis import IntrinsicHomeostasis
from reflexarc.runtime.plasticity.pair import PairStdp
from reflexarc.runtime.plasticity.pes import Pes
from reflexarc.runtime.plasticity.rewiring import Rewiring
from reflexarc.runtime.plasticity.rule import KernelRule, Rule, own_rules
from reflexarc.runtime.plasticity.scaling import SynapticScaling
from reflexarc.runtime.plasticity.triplet import TripletStdp
from reflexarc.runtime.plasticity.upkeep import Held, Upkeep, agreed, contradiction, holding

__all__ = [
    "Held",
    "IntrinsicHomeostasis",
    "KernelRule",
    "PairStdp",
    "Pes",
    "Rewiring",
    "Rule",
    "SynapticScaling",
    "TripletStdp",
    "Upkeep",
    "agreed",
    "contradiction",
    "holding",
    "own_rules",
]
