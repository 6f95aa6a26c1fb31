from typing import Any

import numpy.typing as npt

class EventFilter:
    width: int
    height: int
    def __init__(
        self,
        width: int,
        height: int,
        *,
        region: tuple[int, int, int, int] | None = None,
        on: bool = True,
        off: bool = True,
        background_us: int = 0,
        hot_rate_hz: float = 0.0,
        hot_us: int = 100_000,
    ) -> None: ...
    def sift(self, events: npt.NDArray[Any]) -> npt.NDArray[Any]: ...
    def state(self) -> dict[str, npt.NDArray[Any]]: ...
    def restore(self, state: dict[str, npt.NDArray[Any]]) -> None: ...
