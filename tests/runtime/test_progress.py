import io

from rich.console import Console

from reflexarc.runtime.progress import Bar, Lines, progress_on


def run_twice(progress):
    for name in ("network", "lqr"):
        progress.start(name, 2.0)
        for tick in range(2000):
            progress.update((tick + 1) * 1e-3, lambda tick=tick: f"{tick} points")
        progress.finish("done, 2000 points")


def test_plain_lines_are_few_and_end_with_how_it_ended():
    stream = io.StringIO()
    run_twice(Lines(stream))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "network: 2 s"
    assert lines[1] == "network: 0.4 of 2 s, 399 points"
    assert lines[5] == "network: done, 2000 points"
    assert len(lines) == 2 * 6


def test_a_bar_is_drawn_once_a_run_and_ends_full():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    run_twice(Bar(console))
    last = [line for line in stream.getvalue().replace("\r", "\n").splitlines() if "done" in line]
    assert sum("network" in line for line in last) >= 1
    # the second run does not draw the first one again
    assert "network" not in stream.getvalue().split("lqr", 1)[1]
    assert "2.0 of 2 s" in last[-1]


def test_a_pipe_gets_lines():
    assert isinstance(progress_on(io.StringIO()), Lines)
