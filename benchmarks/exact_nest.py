"""The CUBA network in NEST with precise spike times; run by benchmarks/exact.py in NEST's python.

python exact_nest.py HARNESS SIZE DEGREE SETTLE_S SECONDS       # one JSON object
"""

import json
import sys
import time

import nest


class Precise:
    """The module `nest`, with the neuron model exchanged."""

    def __getattr__(self, name: str) -> object:
        return getattr(nest, name)

    def Create(self, model: str, *args: object) -> object:
        """Make the precise neurons where others are asked for."""
        return nest.Create(model + "_ps" if model == "iaf_psc_exp" else model, *args)


def main() -> None:
    """Build with the harness's own adapter, with precise neurons; run and print."""
    harness, size, degree, settle_s, seconds = sys.argv[1], *map(float, sys.argv[2:])
    sys.path[:0] = [harness, f"{harness}/engines"]
    import nest_e
    import netspec

    nest_e.nest = Precise()
    engine = nest_e.Engine("")
    spec = netspec.get("cuba", n=int(size), k=int(degree))
    engine.build(spec, threads=1)
    engine.run(settle_s * 1000)
    before, begin, used_s = engine.spikes(), time.perf_counter(), time.process_time()
    engine.run(seconds * 1000)
    wall_s = time.perf_counter() - begin
    used_s = time.process_time() - used_s
    spikes = engine.spikes() - before
    print()
    print(
        json.dumps(
            {
                "wall_s": wall_s / seconds,
                "cpu_s": used_s / seconds,
                "rate_hz": spikes / size / seconds,
                "events_per_s": spikes * degree / used_s,
            }
        )
    )


if __name__ == "__main__":
    main()
