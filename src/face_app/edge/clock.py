"""Whether the time that goes into a file can be trusted."""

import ctypes

_STA_UNSYNC = 0x0040  # linux/timex.h


class _Timex(ctypes.Structure):
    """The head of the kernel's ``struct timex``, with room for the rest of it."""

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
    """Tell whether a time server has set this machine's clock; None where the kernel does not say."""
    timex = _Timex()
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    except (AttributeError, OSError):  # another C library, another system
        return None
    return None if answer < 0 else not timex.status & _STA_UNSYNC
