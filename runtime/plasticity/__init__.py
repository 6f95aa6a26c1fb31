"""Learning rules as data: one small strict class a rule, one compiled kernel in `reflexarc.ext`.

docs/write-a-rule.md shows how to add one.
"""

from reflexarc.runtime.plasticity.pair import PairStdp
from reflexarc.runtime.plasticity.pes import Pes
from reflexarc.runtime.plasticity.rule import KernelRule, Rule, own_rules
from reflexarc.runtime.plasticity.shortterm import ShortTerm
from reflexarc.runtime.plasticity.triplet import TripletStdp

__all__ = ["KernelRule", "PairStdp", "Pes", "Rule", "ShortTerm", "TripletStdp", "own_rules"]
