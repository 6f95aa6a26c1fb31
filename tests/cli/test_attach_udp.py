"""`reflexarc attach udp`: what it refuses."""

import pytest


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["127.0.0.1", "--size", "4x4"], "expected HOST:PORT, such as 127.0.0.1:3333"),
        (["127.0.0.1:99999", "--size", "4x4"], "expected HOST:PORT"),
        (["127.0.0.1:0", "--size", "4"], "expected WIDTHxHEIGHT"),
        (["127.0.0.1:0", "--size", "4x4", "--encoding", "x"], "use one of t64, t32, spif"),
        (["192.0.2.1:4000", "--size", "4x4"], "udp 192.0.2.1:4000: cannot listen there"),
    ],
)
def test_what_it_refuses_takes_one_line(reflexarc, args, message):
    done = reflexarc("attach", "udp", *args, check=2)
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
