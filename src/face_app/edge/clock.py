"""Ask the kernel whether the system clock is synchronised."""

import ctypes

_STA_UNSYNC = 0x0040  # linux/timex.h


class _Timex(ctypes.Structure):
    """Maps the first fields of the kernel's ``struct timex``; `rest` reserves memory for the others."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def clock_synchronised() -> bool | None:
    """Return whether a time server has set the clock (adjtimex(2)); None if the kernel does not report it."""
    timex = _Timex()
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    except (AttributeError, OSError):  # no adjtimex: another C library or system
        return None
    return None if state < 0 else not timex.status & _STA_UNSYNC
