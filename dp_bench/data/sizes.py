"""How much more data a file may claim than it holds."""

from __future__ import annotations

from dp_bench.errors import BadInput

FREE = 1 << 26  # an array may have this size, however it is packed [bytes]
MOST_PACKED = 500  # times the stored bytes to which a larger array may unpack


def is_tightly_packed(declared: int, stored: int) -> bool:
    """Tells whether `declared` bytes are more than `stored` bytes usually unpack to."""
    return declared > MOST_PACKED * stored


def check_size(declared: int, stored: int) -> None:
    """Refuses an array that claims far more bytes than its file holds.

    Args:
        declared: Size of the array [bytes].
        stored: Size of its packed data in the file [bytes].

    Raises:
        BadInput: Without a subject.
    """
    if declared > FREE and is_tightly_packed(declared, stored):
        raise BadInput(
            f"claims {declared} bytes, of which the file holds {stored}: arrays above "
            f"{FREE} bytes may be at most {MOST_PACKED} times as large as in the file"
        )
