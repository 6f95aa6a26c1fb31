"""The words of a program for those who write one in Python; the header explains them."""

import numpy as np

OP = np.dtype([(name, np.int64) for name in (
    "kind", "variant", "n", "m", "x", "x_list", "y", "y_list", "state", "params", "uniform",
    "weights", "rows", "targets", "arrived", "layer", "fired", "wait", "peak", "ring", "lag",
    "synapses", "release", "tuned",
)])
PORT = np.dtype([(name, np.int64) for name in ("at", "list_id", "size", "held", "next", "end")])
KINDS = {
    "copy": COPY, "add": ADD, "scan": SCAN, "linear": LINEAR, "neurons": NEURONS,
    "delay_read": DELAY_READ, "delay_write": DELAY_WRITE, "log": LOG, "pes": PES,
    "conv": CONV, "scale": SCALE, "threshold": THRESHOLD,
    "record": RECORD, "collect": COLLECT, "fired": FIRED, "generate": GENERATE,
    "settle": SETTLE, "learn": LEARN, "tune": TUNE, "scaling": SCALING, "rewire": REWIRE,
    "release": RELEASE, "modulate": MODULATE, "project": PROJECT,
    "population": POPULATION,
}
STORAGES = {
    "sparse32": SPARSE32, "sparse64": SPARSE64, "dense32": DENSE32, "dense64": DENSE64,
    "plastic": PLASTIC,
}
RESETS = {
    "graded": GRADED, "v_reset": TO_VALUE, "subtract": SUBTRACT,
    "subtract_each": SUBTRACT_EACH, "subtract_late": SUBTRACT_LATE,
    "v_reset_rectified": TO_VALUE_RECTIFIED,
}
MODELS = {
    "lif": LIF_MODEL, "cuba_lif": CUBA_LIF, "ALIF": ALIF, "DeltaLIF": DELTA_LIF, "ExpLIF": EXP_LIF,
    "AlphaLIF": ALPHA_LIF, "CondLIF": COND_LIF, "AdEx": ADEX, "Izhikevich": IZHIKEVICH,
}
GENERATORS = {"Poisson": POISSON, "Regular": REGULAR}
