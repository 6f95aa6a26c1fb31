from typing import TypeAlias

import numpy as np
import numpy.typing as npt

GAUSSIAN: int
EXPONENTIAL: int
DISC: int

Ends: TypeAlias = tuple[int, int, int, int, bool]
Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
Float64s: TypeAlias = npt.NDArray[np.float64]
Compressed: TypeAlias = tuple[Int64s, Int32s]

def fixed_degree_in(
    size: int, ends: Ends, degree: Int32s, multiple: bool, seed: int, number: int
) -> Compressed: ...
def fixed_degree_out(
    size: int, ends: Ends, degree: int, multiple: bool, seed: int, number: int
) -> Compressed: ...
def by_probability(size: int, ends: Ends, p: float, seed: int, number: int) -> Compressed: ...
def by_distance(
    size: int,
    ends: Ends,
    source_at: Float64s,
    target_at: Float64s,
    extent: Float64s,
    shape: int,
    scale: float,
    peak: float,
    seed: int,
    number: int,
) -> Compressed: ...
def distances(
    rows: Int64s, targets: Int32s, source_at: Float64s, target_at: Float64s, extent: Float64s
) -> npt.NDArray[np.float32]: ...
def shares(room: Int64s, total: int, multiple: bool, seed: int, number: int) -> Int32s: ...
def order_of_pairs(
    source: Int32s, target: Int32s, sources: int, targets: int
) -> tuple[Int64s, Int64s]: ...
def split_rows(rows: Int64s, group: npt.NDArray[np.uint16], groups: int) -> Int64s: ...
def first_fault(rows: Int64s, targets: Int32s, size: int) -> int: ...
