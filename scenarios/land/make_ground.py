"""Writes ground.png: a floor with detail of every size, as gravel or grass have.

    python -m reflexarc.scenarios.land.make_ground [FILE.png]

Its spectrum falls with the spatial frequency, as that of natural pictures does (Field 1987), so
that there is something to see from 4 m and from 6 cm; it goes round without a seam.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from reflexarc.runtime.batch import Array

SIZE_PX = 256
#: Amplitude over frequency; natural pictures have about 1.
FALL = 1.1


def picture() -> Array:
    """uint8, shape (SIZE_PX, SIZE_PX): grey values as an sRGB picture has them."""
    generator = np.random.default_rng(1)
    across = np.fft.fftfreq(SIZE_PX)
    frequency = np.hypot(across, across[:, None])
    frequency[0, 0] = 1.0
    spectrum = np.fft.fft2(generator.standard_normal((SIZE_PX, SIZE_PX))) / frequency**FALL
    drawn = np.fft.ifft2(spectrum).real
    spread = (drawn - drawn.mean()) / drawn.std()
    return np.asarray(np.clip(135 + 50 * spread, 15, 255), np.uint8)


if __name__ == "__main__":
    default = Path(__file__).with_name("ground.png")
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    Image.fromarray(picture()).save(target, optimize=True)
