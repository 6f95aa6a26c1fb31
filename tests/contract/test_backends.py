"""Every backend that ships keeps its contract."""

from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.backends.contract import BackendContract
from reflexarc.runtime.backends.exact import ExactBackend


class TestExact(BackendContract):
    def make_backend(self):
        return ExactBackend()


class TestClocked(BackendContract):
    def make_backend(self):
        return ClockedBackend()


class TestClockedThreads(BackendContract):
    def make_backend(self):
        return ClockedBackend(threads=2)


def test_what_ships_runs_projections_and_generators():
    for backend in (ExactBackend(), ClockedBackend()):
        nodes = backend.capabilities().nodes
        assert {"Projection", "DeltaLIF", "Regular", "Poisson"} <= nodes
