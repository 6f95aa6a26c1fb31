"""Lenses: there and back, and those that fold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reflexarc.sensors.lens import Lens, LensSpec

#: A DAVIS346 as calibrated for the MVSEC data set has about these.
DAVIS = {"focal_px": (226.4, 226.2), "centre_px": (173.6, 133.7)}


def test_field_of_view_is_from_the_lower_to_the_upper_border():
    lens = Lens(LensSpec(field_of_view_deg=90.0), 64, 48)
    np.testing.assert_allclose(
        lens.project([[0.0, -1.0], [0.0, 1.0]]), [[32, 0], [32, 48]], atol=1e-9
    )


def test_distortion_is_that_of_opencv():
    # cv2.projectPoints([[0.3, -0.2, 1]], 0, 0, [[100,0,50],[0,110,40],[0,0,1]],
    # (-0.3, 0.1, 0.01, -0.02)), worked out by hand:
    # r2 = 0.13, radial = 0.96269; x" = 0.288807 - 0.0012 - 0.0062; y" = -0.192538 + 0.0021 + 0.0024
    spec = LensSpec(
        focal_px=(100.0, 110.0), centre_px=(50.0, 40.0), distortion=(-0.3, 0.1, 0.01, -0.02)
    )
    pixel = Lens(spec, 100, 80).project([0.3, -0.2])
    np.testing.assert_allclose(pixel, [50 + 28.1407, 40 - 110 * 0.188038], rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(-0.1, 0.3), st.floats(0.0, 0.1), st.floats(-0.005, 0.005), st.floats(-0.005, 0.005)
)
def test_there_and_back(k1, k2, p1, p2):
    lens = Lens(LensSpec(**DAVIS, distortion=(k1, k2, p1, p2)), 346, 260)
    pixels = np.stack(np.meshgrid([0.0, 100.0, 346.0], [0.0, 31.0, 260.0]), axis=-1)
    ways = lens.unproject(pixels)
    np.testing.assert_allclose(lens.project(ways), pixels, atol=1e-6)
    assert (np.abs(ways) < lens.slopes).all()


@pytest.mark.parametrize("distortion", [(-2.0, 0.0, 0.0, 0.0), (0.0, -5.0, 0.0, 0.0)])
def test_a_lens_that_folds_is_refused(distortion):
    with pytest.raises(ValueError, match="folds a picture of 346 x 260"):
        Lens(LensSpec(**DAVIS, distortion=distortion), 346, 260)


def test_a_focal_length_of_nothing_is_refused():
    with pytest.raises(ValidationError, match="above 0"):
        LensSpec(focal_px=(0.0, 1.0))
