"""The bus: a thin layer over ZeroMQ that says what ZeroMQ keeps silent about.

What was found by trying, and what is done about it:

- A second bind of an ipc endpoint silently steals it: a `Claim` (a locked file that names its
  owner) is taken before every bind.
- An ipc socket is open to everyone under the usual umask: ipc endpoints live in a directory of
  mode 0700 that belongs to us, checked on both sides.
- The first messages to a subscriber that has not joined yet are lost: `Publisher.wait_for` holds
  the sender until the subscription has arrived; pairs shake hands (`Pair.greet`).
- A slow subscriber keeps the oldest messages and the sender is not told: `Subscriber` receives in
  a thread of its own into an `Inbox` that drops the oldest and counts.
- A message over MAXMSGSIZE cuts the peer off: `wire.encode` refuses it first, at the same limit.
- A signal handler that sets a flag does not wake a blocking call: no call blocks above `SLICE_S`.

Limits, the same on every socket: `HIGH_WATER` messages wait in a queue before a pair's `send` has
to wait (a publisher's is lost, which the receiver sees as a gap in `seq`); a closed pair has
`LINGER_MS` to hand over its last message, a publisher none.

Endpoints are `ipc://PATH`, `tcp://127.0.0.1:PORT`, or with keys (`reflexarc.runtime.keys`) any
`tcp://HOST:PORT`: CURVE encrypts, and `reflexarc.runtime.door` lets only known keys in.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Literal, Self

import numpy as np
import zmq
from pydantic import Field, ValidationError

from reflexarc.runtime.batch import Batch, Schema
from reflexarc.runtime.clock import monotonic_ns
from reflexarc.runtime.config import Strict
from reflexarc.runtime.door import EVENT, EVENTS, Strangers, door
from reflexarc.runtime.errors import ConfigError, InUseError, LinkError, WireError
from reflexarc.runtime.keys import LOCAL, Curve
from reflexarc.runtime.wire import MAX_FRAME_BYTES, check_stream, decode, encode

#: Version of the conversation over the bus (the frames have one of their own).
PROTOCOL = 1
#: No call blocks for longer.
SLICE_S = 0.1
#: How often a greeting is repeated until it is answered; peers ignore all but the first.
HELLO_EVERY_NS = 500_000_000
HIGH_WATER = 1024
LINGER_MS = 200
#: Linux's limit of a socket's path, in bytes.
MAX_PATH = 107

#: How long a connection may take to show its key.
HANDSHAKE_MS = 1000
_NAME = re.compile(r"[a-z0-9_-]{1,32}")
_TCP = re.compile(r"tcp://([A-Za-z0-9.*_-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5}|\*)")


def runtime_dir(name: str) -> Path:
    """The private directory of the loop `name`, made where it is missing.

    It lies in $XDG_RUNTIME_DIR/reflexarc or, without that, in reflexarc-UID of the directory for
    temporary files. Raises ConfigError: not a name, or the directory is open to others.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"name {name!r}: use 1 to 32 of a-z 0-9 _ -")
    base = runtime_base()
    for directory in (base, base / name):
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{directory}: cannot be made: {error.strerror}") from None
        check_private(directory)
    return base / name


def runtime_base() -> Path:
    """Where the private directories of all loops lie."""
    session = os.environ.get("XDG_RUNTIME_DIR")
    if session and Path(session).is_dir():
        return Path(session) / "reflexarc"
    return Path(tempfile.gettempdir()) / f"reflexarc-{os.geteuid()}"


def attach_endpoint(loop: str, stream: str) -> str:
    """Where the loop `loop` waits for another process to feed `stream`. Raises ConfigError."""
    try:
        name = check_stream(stream)
    except WireError as error:
        raise ConfigError(str(error)) from None
    return f"ipc://{runtime_dir(loop)}/attach-{name}"


def check_private(directory: Path) -> None:
    """Raise ConfigError unless `directory` is ours alone."""
    try:
        status = directory.lstat()
    except OSError as error:
        raise ConfigError(f"{directory}: {error.strerror}; make it with mode 0700") from None
    private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077 == 0
    if not private or status.st_uid != os.geteuid():
        raise ConfigError(
            f"{directory}: others could reach the sockets in it; use a directory of your own with "
            "mode 0700"
        )


def check_endpoint(endpoint: str, curve: Curve | None = None) -> None:
    """Raise ConfigError unless `endpoint` is one that this bus may use with these keys."""
    path = socket_path(endpoint)
    if path is not None:
        if len(os.fsencode(path)) > MAX_PATH:
            raise ConfigError(f"{endpoint}: a socket's path may have {MAX_PATH} bytes; shorten it")
        check_private(path.parent)
    elif not _TCP.fullmatch(endpoint):
        raise ConfigError(f"{endpoint}: not an endpoint; use ipc://PATH or tcp://HOST:PORT")
    elif not LOCAL.fullmatch(endpoint) and (curve is None or not curve.allowed):
        raise ConfigError(
            f"{endpoint}: other machines could reach it; give secret and allow ('reflexarc keys')"
        )


def socket_path(endpoint: str) -> Path | None:
    """The file of an ipc endpoint."""
    return Path(endpoint.removeprefix("ipc://")) if endpoint.startswith("ipc://") else None


class Claim:
    """The right to bind an ipc endpoint, held until `close` or the end of the process."""

    def __init__(self, endpoint: str) -> None:
        self._socket = socket_path(endpoint)
        self._fd = -1
        if self._socket is None:
            return
        self._lock = self._socket.with_name(f"{self._socket.name}.lock")
        while not self._locked(endpoint):
            self._release()
        os.ftruncate(self._fd, 0)
        os.write(self._fd, str(os.getpid()).encode("ascii"))

    def _locked(self, endpoint: str) -> bool:
        """Lock the file; False if its last owner has removed it meanwhile."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(self._lock, flags, 0o600)
        except OSError as error:
            raise ConfigError(f"{self._lock}: cannot be made: {error.strerror}") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._fd, 20).decode("ascii", errors="replace") or "another"
            self._release()
            raise InUseError(
                f"{endpoint}: in use by process {owner}; stop it or choose another name"
            ) from None
        return os.fstat(self._fd).st_nlink > 0

    def close(self) -> None:
        """Remove the socket and let others bind. May be called twice."""
        if self._fd >= 0 and self._socket is not None:
            self._socket.unlink(missing_ok=True)
            self._lock.unlink(missing_ok=True)
            self._release()

    def _release(self) -> None:
        os.close(self._fd)
        self._fd = -1


class Control(Strict):
    """What is said on a pair beside batches, as the JSON object of a CONTROL batch.

    Attributes:
        op: `hello` and `ready` (or `refuse`) open a conversation, `bye` ends it; `start` lets a
            world's clock run; `credit` allows `count` more values; `end` says that no more come;
            `error` says why the sender gives up.
        text: the reason, for people.
        count: a number of values.
        protocol: version of the conversation.
        streams: schema by name of the streams that the sender will send.
        digest: of the configuration that both sides must share; "" where it does not matter.
        details: what else the two sides have to agree on.
    """

    op: Literal["hello", "ready", "refuse", "start", "credit", "end", "error", "bye"]
    text: str = ""
    count: int = Field(default=0, ge=0)
    protocol: int = PROTOCOL
    streams: Mapping[str, str] = {}
    digest: str = ""
    details: Mapping[str, int | str] = {}

    def batch(self) -> Batch:
        """As a batch to send."""
        text = self.model_dump_json(exclude_defaults=True)
        return Batch("control", Schema.CONTROL, np.frombuffer(text.encode(), np.uint8))

    @classmethod
    def parse(cls, batch: Batch) -> Control:
        """The message in a CONTROL batch. Raises WireError."""
        try:
            return cls.model_validate_json(batch.values.tobytes())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]["msg"]
            raise WireError(f"malformed control message: {first}") from None

    def disagreement(self, other: Control) -> str:
        """Why this side cannot talk to the one that said `other`; "" if it can."""
        if other.protocol != self.protocol:
            return f"it speaks protocol {other.protocol}, this side {self.protocol}"
        if other.digest and self.digest and other.digest != self.digest:
            return (
                f"its configuration is {other.digest[:12]}, this side's {self.digest[:12]}; "
                "give both the same --seed and --set"
            )
        return ""


def _socket(
    kind: int, linger_ms: int, curve: Curve | None = None, *, bind: bool = False
) -> zmq.Socket[bytes]:
    made: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    made.linger = linger_ms
    made.sndhwm = made.rcvhwm = HIGH_WATER
    made.maxmsgsize = MAX_FRAME_BYTES
    made.reconnect_ivl = 10
    if curve is None:
        return made
    made.curve_publickey, made.curve_secretkey = curve.public, curve.secret
    made.handshake_ivl = HANDSHAKE_MS
    if bind:
        made.curve_server = True
        made.zap_domain = door().admit(curve.allowed)
    else:
        (made.curve_serverkey,) = curve.allowed
    return made


def _bind(socket: zmq.Socket[bytes], endpoint: str) -> None:
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        in_use = error.errno == errno.EADDRINUSE
        reason = "in use; choose another port" if in_use else os.strerror(error.errno or 0)
        raise ConfigError(f"{endpoint}: {reason}") from None


class Pair:
    """One end of a conversation between two processes, with a deadline on every call.

    Not for two threads at once. Attributes:
        endpoint: where it is bound or connected to.
        malformed: frames that were refused since the start.
    """

    def __init__(self, endpoint: str, *, bind: bool, curve: Curve | None = None) -> None:
        """Raises ConfigError for an endpoint that is wrong, in use, or open to strangers."""
        check_endpoint(endpoint, curve)
        check_allowed(endpoint, curve, bind)
        self.malformed = 0
        self.endpoint = endpoint
        self._curve = curve
        self._strangers = Strangers(endpoint) if bind and curve else None
        self._bind = bind
        self._doubt = "; does it allow this side's key?" if curve and not bind else ""
        self._claim = Claim(endpoint) if bind else None
        self._open()

    def _open(self) -> None:
        self._peers: list[int] = []  # descriptors of who connected, in order; the first is heard
        self._peer_gone = False
        self._limits_ms: dict[int, int] = {}
        self._socket = _socket(zmq.PAIR, LINGER_MS, self._curve, bind=self._bind)
        self._monitor = self._socket.get_monitor_socket(
            EVENTS | zmq.EVENT_CONNECTED | zmq.EVENT_CLOSED
        )
        try:
            if self._bind:
                _bind(self._socket, self.endpoint)
            else:
                self._socket.connect(self.endpoint)
        except ConfigError:
            self.close()
            raise
        self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def send(self, message: Batch | Control, timeout_s: float = 1.0) -> None:
        """Send one message. Raises LinkError: the peer is gone or does not take it in time."""
        frame = encode(message if isinstance(message, Batch) else message.batch())
        deadline_ns = monotonic_ns() + round(timeout_s * 1e9)
        flags = int(zmq.NOBLOCK)  # there is room, nearly always
        while True:
            try:
                self._socket.send(frame, flags)
                return
            except zmq.Again:
                self.check_peer()
            flags = 0
            self._limit(zmq.SNDTIMEO, _slice_ms(deadline_ns))
            if monotonic_ns() >= deadline_ns:
                raise LinkError(
                    f"{self.endpoint}: nobody took a message within {timeout_s:g} s{self._doubt}"
                )

    def receive(self, timeout_s: float = 0.0) -> Batch | Control | None:
        """The next message, or None when none came in time; malformed ones are counted.

        Raises LinkError when the peer is gone and everything it sent has been received.
        """
        deadline_ns = monotonic_ns() + round(timeout_s * 1e9)
        while True:
            # What it sent at last may come between a look for messages and one for the peer.
            was_gone = self._peer_gone
            self._limit(zmq.RCVTIMEO, 0 if was_gone else _slice_ms(deadline_ns))
            try:
                batch = decode(self._receive())
                return Control.parse(batch) if batch.schema is Schema.CONTROL else batch
            except zmq.Again:
                if was_gone:
                    self.check_peer()
                if self._has_gone():
                    continue
            except WireError:
                self.malformed += 1
            if monotonic_ns() >= deadline_ns:
                return None

    def _limit(self, option: int, limit_ms: int) -> None:
        """Bound how long calls block. Nearly always as before, and telling ZeroMQ costs more than
        a frame's checksum.
        """
        if self._limits_ms.get(option) != limit_ms:
            self._limits_ms[option] = limit_ms
            self._socket.setsockopt(option, limit_ms)

    def _receive(self) -> bytes:
        """One frame. Who sent the first one is the peer, if keys decide who may come."""
        if self._strangers is None or self._peers:
            return self._socket.recv()
        frame = self._socket.recv(copy=False)
        self._peers.append(frame.get(zmq.SRCFD))
        return frame.bytes

    def check_peer(self) -> None:
        """Raise LinkError if the peer's process has ended or let go of its socket."""
        if self._has_gone():
            raise LinkError(f"{self.endpoint}: the process at the other end has gone away")

    def _has_gone(self) -> bool:
        while not self._peer_gone:
            try:
                event, fd = EVENT.unpack(self._monitor.recv_multipart(zmq.NOBLOCK)[0])
            except zmq.Again:
                break
            if self._strangers is not None:
                self._strangers.see(event)
            elif event in (zmq.EVENT_ACCEPTED, zmq.EVENT_CONNECTED):
                self._peers.append(fd)
            if event == zmq.EVENT_DISCONNECTED and fd in self._peers:
                # Others, who were turned away because the pair is taken, also disconnect.
                self._peer_gone = fd == self._peers[0]
                self._peers.remove(fd)
        return self._peer_gone

    def renew(self) -> None:
        """Bind anew after the peer has gone, so that another one can be talked to.

        ZeroMQ turns away for good who knocks while the pair is taken; whoever waited is let go by
        this, and knocks again.
        """
        self._unbind()
        self._close_socket()
        self._open()

    def _unbind(self) -> None:
        """Give the endpoint up and wait for it: ZeroMQ removes the file in a thread of its own,
        and would remove the file of the next bind.
        """
        self._socket.unbind(self.endpoint)
        deadline_ns = monotonic_ns() + round(SLICE_S * 1e9)
        while monotonic_ns() < deadline_ns and self._monitor.poll(_slice_ms(deadline_ns)):
            event, _ = EVENT.unpack(self._monitor.recv_multipart()[0])
            if event == zmq.EVENT_CLOSED:
                return

    def greet(
        self, hello: Control, timeout_s: float, check: Callable[[], None] | None = None
    ) -> Control:
        """Open the conversation and return the peer's `ready`.

        `check` is called between waits and may raise what makes waiting pointless. Raises
        LinkError when nobody answers in time, ConfigError when the peer refuses.
        """
        deadline_ns = monotonic_ns() + round(timeout_s * 1e9)
        repeat_ns = 0
        while monotonic_ns() < deadline_ns:
            if monotonic_ns() >= repeat_ns:
                self.send(hello, timeout_s)
                repeat_ns = monotonic_ns() + HELLO_EVERY_NS
            try:
                answer = self.receive(SLICE_S)
            except LinkError:
                # Turned away with others when the peer bound anew: ZeroMQ connects again.
                self._peer_gone, answer = False, None
            if isinstance(answer, Control) and answer.op == "refuse":
                raise ConfigError(f"{self.endpoint}: refused: {answer.text}")
            if isinstance(answer, Control) and answer.op == "ready":
                if reason := hello.disagreement(answer):
                    raise ConfigError(f"{self.endpoint}: {reason}")
                return answer
            if check is not None:
                check()
        raise LinkError(
            f"{self.endpoint}: nobody answered within {timeout_s:g} s; is it running, and free?"
            f"{self._doubt}"
        )

    def close(self) -> None:
        """Hand over what has been sent and let go. May be called twice."""
        self._close_socket()
        if self._claim is not None:
            self._claim.close()

    def _close_socket(self) -> None:
        if not self._socket.closed:
            self._socket.disable_monitor()
            self._monitor.close(0)
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_allowed(endpoint: str, curve: Curve | None, bind: bool) -> None:
    """Raise ConfigError where a side that connects does not name exactly one key."""
    if curve is not None and not bind and len(curve.allowed) != 1:
        raise ConfigError(f"{endpoint}: allow: name the one public key of the side that is reached")


def _slice_ms(deadline_ns: int) -> int:
    left_ns = deadline_ns - monotonic_ns()
    return max(0, min(round(SLICE_S * 1e3), -(-left_ns // 1_000_000)))


class Publisher:
    """Sends batches to everyone who listens, without waiting for anyone.

    It numbers what it sends, each stream from 0, so that a receiver can see what is missing.

    Attributes:
        endpoint: where subscribers find it (with the port that `tcp://127.0.0.1:*` was given).
    """

    def __init__(self, endpoint: str, *, curve: Curve | None = None) -> None:
        """Raises ConfigError for an endpoint that is wrong, in use, or open to strangers."""
        check_endpoint(endpoint, curve)
        self._epoch = monotonic_ns()
        self._sent: Counter[str] = Counter()
        self._claim = Claim(endpoint)
        self._socket = _socket(zmq.XPUB, 0, curve, bind=True)
        if curve is not None:
            door().watch(self._socket.get_monitor_socket(EVENTS), Strangers(endpoint))
        self._socket.xpub_verbose = True  # or only the first of several subscribers is told of
        try:
            _bind(self._socket, endpoint)
        except ConfigError:
            self.close()
            raise
        self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def wait_for_subscriber(self, timeout_s: float) -> bool:
        """Whether one (more) subscriber has joined in time; it misses nothing sent from then on."""
        deadline_ns = monotonic_ns() + round(timeout_s * 1e9)
        while True:
            self._socket.rcvtimeo = _slice_ms(deadline_ns)
            try:
                if self._socket.recv()[:1] == b"\1":
                    return True
            except zmq.Again:
                pass
            if monotonic_ns() >= deadline_ns:
                return False

    def send(self, batch: Batch) -> None:
        """Send `batch` now, under the next number of its stream."""
        numbered = replace(batch, epoch=self._epoch, seq=self._sent[batch.stream])
        self._socket.send(encode(numbered), zmq.NOBLOCK)
        self._sent[batch.stream] += 1

    def close(self) -> None:
        """Let go of the endpoint. May be called twice."""
        if not self._socket.closed:
            self._socket.disable_monitor()
            self._socket.close()
            self._claim.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Inbox:
    """Batches between a receiving thread and the loop: bounded, drops the oldest, counts.

    What is lost is in `dropped` of the batch of its stream that is taken next.
    """

    def __init__(self, capacity: int) -> None:
        self._lock = Lock()
        self._waiting: deque[Batch] = deque()
        self._capacity = capacity
        self._lost: Counter[str] = Counter()

    def put(self, batch: Batch) -> None:
        """Add `batch`; where there is no room the oldest gives way."""
        with self._lock:
            if len(self._waiting) == self._capacity:
                oldest = self._waiting.popleft()
                self._lost[oldest.stream] += len(oldest.values) + oldest.dropped
            self._waiting.append(batch)

    def take(self) -> list[Batch]:
        """Everything that waits, in the order it came."""
        with self._lock:
            batches = list(self._waiting)
            self._waiting.clear()
            for n, batch in enumerate(batches):
                if lost := self._lost.pop(batch.stream, 0):
                    batches[n] = replace(batch, dropped=batch.dropped + lost)
        return batches


class Continuity:
    """Follows the numbers of each stream, from the first one seen, and finds what is missing."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}

    def missing(self, batch: Batch) -> int:
        """How many batches were lost just before `batch`; -1 if it is older than one seen."""
        epoch, seq = self._last.get(batch.stream, (batch.epoch, batch.seq - 1))
        if batch.epoch != epoch:
            seq = -1
        if batch.seq <= seq:
            return -1
        self._last[batch.stream] = batch.epoch, batch.seq
        return batch.seq - seq - 1


class Subscriber:
    """Receives from a publisher in a thread of its own.

    Attributes:
        received: batches that have come since the start.
        malformed: frames that were refused, or came twice, since the start.
        lost_frames: gaps in the numbers since the start. How many values a lost frame held is not
            known: each counts as one in `dropped` of the batch after it, which is the least.
        heard_ns: when the last frame came, on the monotonic clock.
    """

    def __init__(self, endpoint: str, *, capacity: int = 1024, curve: Curve | None = None) -> None:
        """Listen to `endpoint`, holding at most `capacity` batches. Raises ConfigError."""
        check_endpoint(endpoint, curve)
        check_allowed(endpoint, curve, bind=False)
        self.received = self.malformed = self.lost_frames = 0
        self.heard_ns = monotonic_ns()
        self._inbox = Inbox(capacity)
        self._continuity = Continuity()
        self._stop = Event()
        self._socket = _socket(zmq.SUB, 0, curve)
        self._socket.rcvtimeo = round(SLICE_S * 1e3)
        self._socket.subscribe(b"")
        self._socket.connect(endpoint)
        self._thread = Thread(target=self._run, name="subscriber", daemon=True)
        self._thread.start()

    def take(self) -> list[Batch]:
        """What has come since the last call, never waiting."""
        return self._inbox.take()

    def close(self) -> None:
        """Stop listening. May be called twice."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._accept(decode(self._socket.recv()))
            except zmq.Again:
                pass
            except WireError:
                self.malformed += 1
        self._socket.close()

    def _accept(self, batch: Batch) -> None:
        missing = self._continuity.missing(batch)
        if missing < 0:
            self.malformed += 1
            return
        self.heard_ns = monotonic_ns()
        if missing:
            self.lost_frames += missing
            batch = replace(batch, dropped=batch.dropped + missing)
        self._inbox.put(batch)
        self.received += 1
