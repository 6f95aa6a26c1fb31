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

    def make(check):
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
    while plant.lost:
        seen = plant.observe(8)
    assert seen == [8]
    assert not plant.lost
    plant.act(np.ones(1))
    assert len(made[1].commands) == 1
    plant.close()
    assert made[1].closed.is_set()


def test_it_can_be_lost_while_acting_and_closed_while_lost():
    made = []

    def make(check):
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


def test_a_spare_is_there_before_it_is_needed():
    made, another = [], Event()

    def make(check):
        made.append(Fragile())
        if len(made) == 3:
            another.set()
        return made[-1]

    plant = MendingPlant(make, spare=True)
    while plant._next is None:
        assert plant.observe(1) == [1]
    made[0].broken = True
    with pytest.raises(LinkError):
        plant.observe(2)
    assert plant.observe(3) == [3]
    plant.act(np.ones(1))
    assert len(made[1].commands) == 1
    assert made[0].closed.wait(10)
    assert another.wait(10)
    plant.close()
    assert all(fragile.closed.is_set() for fragile in made)


def test_a_spare_that_is_being_made_does_not_hold_up_the_end():
    begun, made = Event(), []

    def make(check):
        if made:
            begun.set()
            while True:
                check()
        made.append(Fragile())
        return made[0]

    plant = MendingPlant(make, spare=True)
    assert begun.wait(10)
    plant.close()
    assert made[0].closed.is_set()
