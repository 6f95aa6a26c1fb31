from reflexarc.runtime.complaints import Complaints

S = 1_000_000_000


class Machine:
    def __init__(self):
        self.now_ns, self.lines = 0, []
        self.complaints = Complaints(self.lines.append, now_ns=lambda: self.now_ns)


def test_the_first_is_told_at_once_and_the_rest_once_a_second():
    machine = Machine()
    for n in range(30):
        machine.now_ns = n * S // 10
        machine.complaints.add("late", f"late by {n}")
    assert machine.lines == ["late by 0", "late by 10 (10 times)", "late by 20 (10 times)"]
    assert machine.complaints.counts == {"late": 30}


def test_causes_do_not_hide_each_other():
    machine = Machine()
    machine.complaints.add("a", "a happened", 3)
    machine.complaints.add("b", "b happened")
    assert machine.lines == ["a happened (3 times)", "b happened"]


def test_what_waits_is_told_a_second_later_or_at_the_end():
    machine = Machine()
    for _ in range(3):
        machine.complaints.add("a", "again")
    machine.complaints.flush()
    assert machine.lines == ["again"]
    machine.now_ns = S
    machine.complaints.flush()
    machine.complaints.flush()
    assert machine.lines == ["again", "again (2 times)"]
    machine.complaints.add("a", "last")
    machine.complaints.flush(now=True)
    assert machine.lines[2:] == ["last"]
