"""Rules as data: what a declaration refuses, and whether it fits an edge."""

import numpy as np
import pytest
from pydantic import ValidationError

from reflexarc.runtime.plasticity import Pes

WEIGHT = np.array([[0.0, 0.5], [-0.5, 1.0]])


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"modulator": "e"},
        {"modulator": "e", "learning_rate": -1.0},
        {"modulator": "e", "learning_rate": float("nan")},
        {"modulator": "e", "learning_rate": 1.0, "tau_pre_s": 0.0},
        {"modulator": "e", "learning_rate": 1.0, "tau_post_s": 1.0},
        {"modulator": "e", "learning_rate": 1.0, "rule": "hebb"},
    ],
)
def test_a_wrong_declaration_is_refused(values):
    with pytest.raises(ValidationError):
        Pes(**values)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({}, None),
        ({"modulator": "f"}, "modulator"),
        ({"modulator": "three"}, "modulator"),
        ({"w_min": -0.5, "w_max": 1.0}, None),
        ({"w_min": -0.4}, "w_min"),
        ({"w_max": 0.9}, "w_max"),
    ],
)
def test_a_misfit_names_its_key(values, key):
    rule = Pes(**{"modulator": "e", "learning_rate": 1.0, **values})
    misfit = rule.misfit(WEIGHT, {"e": 2, "three": 3})
    assert (misfit and misfit[0]) == key
