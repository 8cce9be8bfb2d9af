"""QR codes (ISO/IEC 18004) of short texts: byte mode, level M, versions 1 to 10, which is all that an authenticator app is shown.

The mask is always the first one: a reader needs no other, it only reads some pictures a little faster.
"""

from collections.abc import Iterator, Sequence

Rows = tuple[tuple[bool, ...], ...]

BLOCKS: Sequence[tuple[int, tuple[int, ...]]] = (
    (10, (16,)),
    (16, (28,)),
    (26, (44,)),
    (18, (32, 32)),
    (24, (43, 43)),
    (16, (27,) * 4),
    (18, (31,) * 4),
    (22, (38, 38, 39, 39)),
    (22, (36, 36, 36, 37, 37)),
    (26, (43, 43, 43, 43, 44)),
)
"""For each version: correction bytes of a block, and data bytes of its blocks (table 9, level M)."""

ALIGNED: Sequence[tuple[int, ...]] = (
    (),
    (6, 18),
    (6, 22),
    (6, 26),
    (6, 30),
    (6, 34),
    (6, 22, 38),
    (6, 24, 42),
    (6, 26, 46),
    (6, 28, 50),
)
"""For each version: rows and columns of the centres of alignment patterns (annex E)."""

_FIELD, _FORMAT, _FORMAT_MASK, _VERSION = 0x11D, 0x537, 0x5412, 0x1F25


def rows(text: str) -> Rows:
    """Return the modules of a text, true for dark, without the margin; none where it is too long for version 10."""
    data = text.encode()
    for number, (correction, blocks) in enumerate(BLOCKS, 1):
        length = 16 if number >= 10 else 8
        if 4 + length + 8 * len(data) <= 8 * sum(blocks):
            return _Drawing(number).finished(_codewords(data, length, correction, blocks))
    return ()


def _codewords(data: bytes, length: int, correction: int, blocks: Sequence[int]) -> bytes:
    """Return data and correction, interleaved (7.4, 7.5, 7.6)."""
    room = 8 * sum(blocks)
    bits = f"0100{len(data):0{length}b}" + "".join(f"{one:08b}" for one in data)
    bits += "0" * min(4, room - len(bits))
    bits += "0" * (-len(bits) % 8)
    padding = "1110110000010001" * (room // 16 + 1)
    bits += padding[: room - len(bits)]
    stream = bytes(int(bits[start : start + 8], 2) for start in range(0, room, 8))
    starts = [sum(blocks[:index]) for index in range(len(blocks))]
    parts = [stream[start : start + size] for start, size in zip(starts, blocks, strict=True)]
    extra = [_correction(part, correction) for part in parts]
    mixed = [part[index] for index in range(max(blocks)) for part in parts if index < len(part)]
    return bytes(mixed + [part[index] for index in range(correction) for part in extra])


def _correction(data: bytes, degree: int) -> bytes:
    """Return the Reed-Solomon remainder of a block (7.5.2)."""
    divisor, root = [0] * (degree - 1) + [1], 1
    for _ in range(degree):
        divisor = [
            _times(one, root) ^ (divisor[index + 1] if index + 1 < degree else 0) for index, one in enumerate(divisor)
        ]
        root = _times(root, 2)
    rest = [0] * degree
    for byte in data:
        factor = byte ^ rest[0]
        rest = [one ^ _times(by, factor) for one, by in zip([*rest[1:], 0], divisor, strict=True)]
    return bytes(rest)


def _times(one: int, other: int) -> int:
    """Return a product in the field of 256 elements."""
    product = 0
    for shift in range(7, -1, -1):
        product = (product << 1) ^ ((product >> 7) * _FIELD)
        product ^= ((other >> shift) & 1) * one
    return product


def _checked(value: int, length: int, divisor: int) -> int:
    """Return a value followed by so many check bits (annexes C and D)."""
    rest = value
    for _ in range(length):
        rest = (rest << 1) ^ ((rest >> (length - 1)) * divisor)
    return value << length | rest


class _Drawing:
    """A symbol while it is drawn.

    Args:
        number: Its version.
    """

    def __init__(self, number: int) -> None:
        self._size = size = 17 + 4 * number
        self._dark = [[False] * size for _ in range(size)]
        self._taken = [[False] * size for _ in range(size)]
        for index in range(size):
            self._put(6, index, index % 2 == 0)
            self._put(index, 6, index % 2 == 0)
        for x, y in ((3, 3), (size - 4, 3), (3, size - 4)):
            self._square(x, y, 4, {2, 4})
        last = size - 7
        for x in ALIGNED[number - 1]:
            for y in ALIGNED[number - 1]:
                if (x, y) not in {(6, 6), (6, last), (last, 6)}:
                    self._square(x, y, 2, {1})
        self._format(_checked(0, 10, _FORMAT) ^ _FORMAT_MASK)
        if number >= 7:
            self._version(_checked(number, 12, _VERSION))

    def finished(self, codewords: bytes) -> Rows:
        """Return the symbol with its content, masked."""
        bits = (byte >> shift & 1 for byte in codewords for shift in range(7, -1, -1))
        for x, y in self._way():
            if not self._taken[y][x]:
                self._dark[y][x] = bool(next(bits, 0)) ^ ((x + y) % 2 == 0)
        return tuple(tuple(row) for row in self._dark)

    def _way(self) -> Iterator[tuple[int, int]]:
        """Yield the modules in the order of the content: columns in pairs, upwards and downwards (7.7.3)."""
        for turn, right in enumerate([*range(self._size - 1, 6, -2), 5, 3, 1]):
            for step in range(self._size):
                y = step if turn % 2 else self._size - 1 - step
                yield right, y
                yield right - 1, y

    def _put(self, x: int, y: int, dark: bool) -> None:  # noqa: FBT001 - what is put
        self._dark[y][x], self._taken[y][x] = dark, True

    def _square(self, x: int, y: int, reach: int, light: set[int]) -> None:
        """Draw squares around a centre; those at these distances are light."""
        for down in range(-reach, reach + 1):
            for right in range(-reach, reach + 1):
                if 0 <= x + right < self._size and 0 <= y + down < self._size:
                    self._put(x + right, y + down, max(abs(right), abs(down)) not in light)

    def _format(self, value: int) -> None:
        """Write level and mask, twice (7.9)."""
        size = self._size
        first = [*((8, y) for y in (0, 1, 2, 3, 4, 5, 7, 8)), (7, 8), *((x, 8) for x in (5, 4, 3, 2, 1, 0))]
        second = [*((size - 1 - index, 8) for index in range(8)), *((8, size - 7 + index) for index in range(7))]
        for places in (first, second):
            for index, (x, y) in enumerate(places):
                self._put(x, y, bool(value >> index & 1))
        self._put(8, size - 8, True)

    def _version(self, value: int) -> None:
        """Write the version, twice (7.10)."""
        for index in range(18):
            far, near = self._size - 11 + index % 3, index // 3
            self._put(far, near, bool(value >> index & 1))
            self._put(near, far, bool(value >> index & 1))
