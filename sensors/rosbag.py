"""Camera events in bags of ROS 1 and ROS 2: messages of type EventPacket (event_camera_msgs).

A message holds bytes in the encoding that it names (event_camera_codecs says how):

- `evt3`: the stream of a Prophesee sensor, cut anywhere; times are the sensor's;
- `libcaer`: 64 bits an event, polarity, y and x above a valid bit, then 31 bits of microseconds
  that are added to `time_base`;
- `mono`: 64 bits an event, nanoseconds since `time_base`, x, y and polarity.

Needs the packages rosbags and, for `evt3`, evt3.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from reflexarc.runtime.batch import EVENT, Array
from reflexarc.runtime.errors import ConfigError

#: What bags of ROS 2 do not always say themselves.
EVENT_PACKET = """
std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
"""
TYPES = ("event_camera_msgs/msg/EventPacket", "event_array_msgs/msg/EventArray")
Decoder = Callable[[Any], Array]


def open_bag(
    path: Path, topic: str | None
) -> tuple[str, tuple[int, int], Callable[[], Iterator[Array]]]:
    """Format, (width, height) and events of a bag: a file of ROS 1, a folder of ROS 2.

    Raises:
        ConfigError: a package is missing, the bag has not that topic of events, or, without one
            given, not one alone, or they are in another encoding.
    """
    first = next(_messages(path, topic), None)
    if first is None:
        raise ConfigError(f"{path}: the bag has no events")
    make = _DECODERS.get(first.encoding)
    if make is None or first.is_bigendian:
        order = " big-endian" if first.is_bigendian else ""
        known = ", ".join(_DECODERS)
        raise ConfigError(
            f"{path}: events as '{first.encoding}'{order} are not read; known: {known}"
        )
    make(path, first)  # says what is missing

    def chunks() -> Iterator[Array]:
        decode = make(path, first)
        for message in _messages(path, topic):
            yield decode(message)

    return f"ROS bag {first.encoding}", (first.width, first.height), chunks


def _messages(path: Path, topic: str | None) -> Iterator[Any]:
    """The messages of a topic of events; of the only one if None."""
    highlevel, typesys = (_package(path, f"rosbags.{name}") for name in ("highlevel", "typesys"))
    store = typesys.get_typestore(typesys.Stores.LATEST)
    for name in TYPES:
        store.register(typesys.get_types_from_msg(EVENT_PACKET, name))
    try:
        reader = highlevel.AnyReader([path], default_typestore=store)
        reader.open()
    except highlevel.AnyReaderError as error:
        raise ConfigError(f"{path}: not a bag that can be read: {error}") from None
    with closing(reader):
        found = [link for link in reader.connections if link.msgtype in TYPES]
        topics = sorted({link.topic for link in found})
        if topic is not None and topic in topics:
            found = [link for link in found if link.topic == topic]
        elif topic is not None or len(topics) != 1:
            raise ConfigError(f"{path}: {_choice(topic, topics)}")
        for link, _, raw in reader.messages(found):
            yield reader.deserialize(raw, link.msgtype)


def _choice(topic: str | None, topics: list[str]) -> str:
    if not topics:
        return "the bag has no topic of type EventPacket"
    if topic is not None:
        return f"no topic {topic} of type EventPacket; there is {', '.join(topics)}"
    names = ", ".join(topics)
    return f"the bag has {len(topics)} topics, {names}, of type EventPacket; choose one by --topic"


def _package(path: Path, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise ConfigError(
            f"{path}: needs the package {package}; pip install 'reflexarc[recordings]'"
        ) from None


def _evt3(path: Path, first: Any) -> Decoder:
    decoder = _package(path, "evt3").Decoder(first.width, first.height)

    def decode(message: Any) -> Array:
        found = decoder.feed(message.events.tobytes())
        return _events(found.timestamp, found.x, found.y, found.polarity)

    return decode


def _libcaer(path: Path, first: Any) -> Decoder:
    def decode(message: Any) -> Array:
        words = message.events.view("<u4").reshape(-1, 2).astype(np.int64)
        data, low_us = words[:, 0], words[:, 1]
        # 31 bits that start anew within a message carry one over
        turns = np.cumsum(np.diff(low_us, prepend=low_us[:1]) < 0)
        t_us = (int(message.time_base) + ((turns << 31) + low_us) * 1000) // 1000
        return _events(t_us, data >> 17 & 0x7FFF, data >> 2 & 0x7FFF, data >> 1 & 1)

    return decode


def _mono(path: Path, first: Any) -> Decoder:
    def decode(message: Any) -> Array:
        words = message.events.view("<u8")
        t_ns = np.uint64(message.time_base) + (words & np.uint64(0xFFFF_FFFF))
        x, y = (
            words >> np.uint64(32) & np.uint64(0xFFFF),
            words >> np.uint64(48) & np.uint64(0x7FFF),
        )
        return _events(t_ns // np.uint64(1000), x, y, words >> np.uint64(63))

    return decode


def _events(t_us: Array, x: Array, y: Array, on: Array) -> Array:
    events = np.empty(len(t_us), EVENT)
    events["t"], events["x"], events["y"], events["on"] = t_us, x, y, on
    return events


_DECODERS: dict[str, Callable[[Path, Any], Decoder]] = {
    "evt3": _evt3,
    "libcaer": _libcaer,
    "mono": _mono,
}
