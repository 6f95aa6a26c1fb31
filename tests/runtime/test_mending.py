from threading import Event

import numpy as np
import pytest

from reflexarc.runtime.errors import LinkError
from reflexarc.runtime.mending import MendingPlant
from reflexarc.runtime.world import Plant


class Fragile(Plant):
    def __init__(self):
        self.broken, self.commands, self.closed = False, [], Event()

    def observe(self, now_ns):
        if self.broken:
            raise LinkError("gone")
        return [now_ns]

    def act(self, command):
        if self.broken:
            raise LinkError("gone")
        self.commands.append(command)

    def close(self):
        self.closed.set()


def test_a_lost_plant_is_made_again_while_the_loop_goes_on():
    made, allowed = [], Event()

    def make():
        if made and not allowed.is_set():
            raise LinkError("not there yet")
        made.append(Fragile())
        return made[-1]

    plant = MendingPlant(make)
    assert plant.observe(5) == [5]
    made[0].broken = True
    with pytest.raises(LinkError):
        plant.observe(6)
    assert plant.lost
    assert plant.observe(7) == []
    plant.act(np.zeros(1))  # nobody is there to take it, and that is no error
    assert made[0].closed.wait(10)
    allowed.set()
    plant._thread.join(10)
    assert plant.observe(8) == [8]
    assert not plant.lost
    plant.act(np.ones(1))
    assert len(made[1].commands) == 1
    plant.close()
    assert made[1].closed.is_set()


def test_it_can_be_lost_while_acting_and_closed_while_lost():
    made = []

    def make():
        if made:
            raise LinkError("never again")
        made.append(Fragile())
        return made[0]

    plant = MendingPlant(make)
    made[0].broken = True
    with pytest.raises(LinkError):
        plant.act(np.zeros(1))
    plant.close()
    plant.close()
