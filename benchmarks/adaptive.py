"""Controllers of random plants: a PID, and a spiking network that learns beside one.

Both are tuned here too, on plants of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from randomplant import (
    DT_S,
    PERIOD_STEPS,
    Array,
    Path,
    RandomPlants,
    draw_forces,
    draw_path,
    path_rms,
)

from reflexarc import LI, LIF, Builder
from reflexarc.runtime.backends.clocked import ClockedBackend
from reflexarc.runtime.clock import perf_ns
from reflexarc.runtime.network import Network
from reflexarc.runtime.plasticity import Pes
from reflexarc.scenarios.lif import LifCurve

DT_NS = round(DT_S * 1e9)
NEURONS = 500
NEURON_TAU_S = 0.02
CURVE = LifCurve(NEURON_TAU_S, DT_S)
SYNAPSE_TAU_S = 0.01
#: Of the activity that is taught: about as long as an error takes to show.
TRACE_TAU_S = 0.04
#: The integral acts within the motors' reach: tanh(3) = 0.995.
INTEGRAL_LIMIT = 3.0
#: An error of a joint counts as at most this: a lost plant must not outweigh all the others.
MOST_ERROR_RAD = 1.0
#: Learning speeds that `choose_speed` tries.
SPEEDS_HZ = (2.0, 4.0, 7.0)
#: Rounds and candidates a round of `tune_pid`.
ROUNDS, CANDIDATES, KEPT = 8, 40, 10


@dataclass(frozen=True)
class Gains:
    """u = kp e + ki int(e) + kd de/dt (low-pass tau_d_s) + kf dq_wanted/dt; in rad and seconds.

    e is what should be sensed on the path less what is sensed.
    """

    kp: float
    ki: float
    kd: float
    tau_d_s: float
    kf: float


class Pid:
    """Feedback and feedforward of all joints of all copies; `gains` has one entry a copy.

    `feedback` is the last u without its integral and feedforward: what teaches a network.
    """

    def __init__(self, gains: Sequence[Gains], plants: RandomPlants) -> None:
        table = np.array([astuple(each) for each in gains])
        self._kp, self._ki, self._kd, self._tau_s, self._kf = table.T[:, None, :, None]
        self._integral = np.zeros_like(plants.q)
        self._smooth = np.zeros_like(plants.q)
        self.feedback = np.zeros_like(plants.q)

    def step(self, error: Array, wanted_rate: Array) -> Array:
        """The command of one step."""
        self._integral += DT_S * self._ki * error
        np.clip(self._integral, -INTEGRAL_LIMIT, INTEGRAL_LIMIT, out=self._integral)
        self.feedback = self._kp * error + self._kd / self._tau_s * (error - self._smooth)
        self._smooth += DT_S / (self._tau_s + DT_S) * (error - self._smooth)
        return np.asarray(self.feedback + self._integral + self._kf * wanted_rate)


def build(joints: int, seed: int, speed_hz: float) -> Network:
    """A network that learns what to add to the command at each state.

    state -> 500 LIF neurons -> `adapt`, plastic, all zero -> correction (LI)

    The state is wanted angle, wanted rate and sensed angle over their usual sizes. Each neuron has
    a random direction in it and fires beyond a threshold of -1.5 to 1.5 standard deviations. At a
    steady state and a constant teaching signal the correction grows by `speed_hz` times that
    signal a second.
    """
    generator = np.random.default_rng((seed, 2_000_000))
    weight, bias = CURVE.tuning(generator, NEURONS, 3 * joints, widest=1.5, at=2.0)
    usual = generator.standard_normal((1000, 3 * joints))
    power = np.mean(np.sum(CURVE.rates_hz(usual @ weight.T + bias) ** 2, axis=1))
    rule = Pes(modulator="teaching", learning_rate=speed_hz / (power * DT_S), tau_pre_s=TRACE_TAU_S)
    net = Builder(seed=seed)
    state = net.input("state", 3 * joints)
    net.input("teaching", joints)
    ensemble = net.population("ensemble", NEURONS, LIF(tau_s=NEURON_TAU_S))
    correction = net.population("correction", joints, LI(tau_s=SYNAPSE_TAU_S))
    net.linear(state, ensemble, weight, bias, name="encode")
    zero = np.zeros((joints, NEURONS))
    net.linear(ensemble, correction, zero, name="adapt", plasticity=rule)
    net.output("command", correction)
    return net.build(mode="clocked", dt_s=DT_S)


class Team:
    """One network for each plant of a copy. `spent_ns` is the time they took, all teams."""

    spent_ns = 0

    def __init__(self, joints: int, seeds: Sequence[int], speed_hz: float, learning: bool) -> None:
        backend = ClockedBackend()
        self._programs = [backend.compile(build(joints, seed, speed_hz)) for seed in seeds]
        self._correction = np.zeros((len(seeds), joints))
        self._until_ns = 0
        self.learn(learning)

    def learn(self, on: bool) -> None:
        """Switch learning on or off."""
        for program in self._programs:
            program.learning = on

    def step(self, state: Array, feedback: Array) -> Array:
        """What the networks add to the command; all shapes are (plants, size)."""
        begin_ns = perf_ns()
        self._until_ns += DT_NS
        teaching = -feedback  # PES descends along its error
        for k, program in enumerate(self._programs):
            inputs = {"state": state[k], "teaching": teaching[k]}
            self._correction[k] = program.step(self._until_ns, inputs)["command"]
        Team.spent_ns += perf_ns() - begin_ns
        return self._correction


def track(
    path: Path,
    plants: RandomPlants,
    pid: Pid,
    periods: int,
    teams: Mapping[int, Team] | None = None,
    before: Callable[[int], None] = lambda period: None,
) -> Array:
    """Follow the path for some periods; root mean square errors, shape (periods, plants, copies).

    The error is that of the true angles. `teams` has the networks of a copy by its number;
    `before` is called before each period.
    """
    joints = plants.q.shape[2]
    usual = np.repeat([*path_rms(joints), path_rms(joints)[0]], joints)
    sensed, squares = np.zeros_like(plants.q), np.zeros((periods, *plants.q.shape[:2]))
    for period in range(periods):
        before(period)
        for step in range(PERIOD_STEPS):
            wanted, rate = path.q[step], path.rate[step]
            command = pid.step(path.sensed[step][:, None] - sensed, rate[:, None])
            for copy, team in (teams or {}).items():
                state = np.concatenate((wanted, rate, sensed[:, copy]), axis=1) / usual
                command[:, copy] += team.step(state, pid.feedback[:, copy])
            sensed = plants.step(command)
            error = plants.q - path.q[(step + 1) % PERIOD_STEPS][:, None]
            squares[period] += np.minimum(error**2, MOST_ERROR_RAD**2).mean(axis=2)
    return np.sqrt(squares / PERIOD_STEPS)


def tune_pid(joints: int, seeds: Sequence[int]) -> tuple[Gains, list[float]]:
    """The gains with the least error, geometric mean over plants; and that by round of the search.

    Cross-entropy search (Rubinstein 1999) over the logarithms of all five gains: each round draws
    candidates from a normal distribution that is fitted, somewhat widened, to the best of the last
    one. The error is that of the second period, when the integral has settled.
    """
    path = draw_path(joints, seeds)
    forces = draw_forces(path, seeds)
    generator = np.random.default_rng(joints)
    mean = np.log([2.0, 3.0, 0.03, 0.003, 0.1])
    spread = np.diag([0.7, 1.2, 1.0, 1.0, 0.5]) ** 2
    best, history = mean, []
    for _ in range(ROUNDS):
        drawn = generator.multivariate_normal(mean, spread, CANDIDATES)
        drawn[0] = best
        plants = RandomPlants(forces, seeds, CANDIDATES)
        pid = Pid([Gains(*each) for each in np.exp(drawn)], plants)
        score = np.log(track(path, plants, pid, 2)[-1]).mean(axis=0)
        kept = drawn[np.argsort(score)[:KEPT]]
        best, mean = kept[0], kept.mean(axis=0)
        spread = 1.5 * np.cov(kept.T) + 1e-4 * np.eye(5)
        history.append(float(np.exp(score.min())))
    return Gains(*np.exp(best).tolist()), history


def best_in_hindsight(joints: int, seeds: Sequence[int], gains: Gains) -> Array:
    """By plant, the error of the PID that suits it best, of CANDIDATES like the tuned one.

    All five gains vary, by a factor of 1.5 (one standard deviation) each.
    """
    path = draw_path(joints, seeds)
    plants = RandomPlants(draw_forces(path, seeds), seeds, CANDIDATES)
    generator = np.random.default_rng(joints)
    drawn = np.log(astuple(gains)) + np.log(1.5) * generator.standard_normal((CANDIDATES, 5))
    pid = Pid([gains, *(Gains(*each) for each in np.exp(drawn[1:]))], plants)
    return np.asarray(track(path, plants, pid, 2)[-1].min(axis=1))


def choose_speed(
    joints: int, seeds: Sequence[int], gains: Gains, periods: int
) -> tuple[float, dict[float, float]]:
    """One of SPEEDS_HZ, and the error that each ended with: geometric mean over plants.

    It is the quickest whose error is within 3 % of the least.
    """
    path = draw_path(joints, seeds)
    plants = RandomPlants(draw_forces(path, seeds), seeds, len(SPEEDS_HZ))
    pid = Pid([without_integral(gains)] * len(SPEEDS_HZ), plants)
    teams = {k: Team(joints, seeds, speed, True) for k, speed in enumerate(SPEEDS_HZ)}
    error = np.exp(np.log(track(path, plants, pid, periods, teams)[-1]).mean(axis=0))
    tried = dict(zip(SPEEDS_HZ, error.tolist(), strict=True))
    return max(speed for speed in tried if tried[speed] <= 1.03 * min(tried.values())), tried


def without_integral(gains: Gains) -> Gains:
    """The loop around a network, which takes the integral's place."""
    return replace(gains, ki=0.0)
