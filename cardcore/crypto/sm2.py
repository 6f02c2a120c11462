"""SM2 signatures with SM3 (GB/T 32918.2, RFC 8998), as an option beside Ed25519 under batch files.

Decides how a signature is made and proven. Leaves which key signs what to the key service and to
registers. The library has SM3 and no SM2, so the curve stands here.

The random number of a signature is derived from key and message (RFC 6979 §3.2, with HMAC-SM3):
it can never repeat for two messages, and the same file gets the same bytes again. Arithmetic on
Python's integers takes a time that depends on them: this signs in the simulated key service and
nowhere else; a device in the field signs by itself. Proving handles nothing secret.
"""

from typing import NamedTuple

from cryptography.hazmat.primitives import hashes, hmac

from cardcore.errors import CryptogramError, DecodeError
from cardcore.text import Text

#: The identity both sides agree on when nothing else is agreed (GB/T 35276, RFC 8998 §3.2.1).
DEFAULT_IDENTITY = b"1234567812345678"
PRIVATE_KEY_BYTES = 32
PUBLIC_KEY_BYTES = 65
SIGNATURE_BYTES = 64

# The recommended curve (GB/T 32918.5): y^2 = x^3 + ax + b over P, with a = P - 3.
_P = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_00000000_FFFFFFFF_FFFFFFFF
_A = _P - 3
_B = 0x28E9FA9E_9D9F5E34_4D5A9E4B_CF6509A7_F39789F5_15AB8F92_DDBCBD41_4D940E93
_N = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123


class _Point(NamedTuple):
    """A point in Jacobian coordinates; z = 0 is the point at infinity."""

    x: int
    y: int
    z: int


_INFINITY = _Point(1, 1, 0)
_G = _Point(
    0x32C4AE2C_1F198119_5F990446_6A39C994_8FE30BBF_F2660BE1_715A4589_334C74C7,
    0xBC3736A2_F4F6779C_59BDCEE3_6B692153_D0A9877C_C62A4740_02DF32E5_2139F0A0,
    1,
)


def _double(point: _Point) -> _Point:
    x, y, z = point
    if not z:
        return point
    square = y * y % _P
    s = 4 * x * square % _P
    m = 3 * (x - z * z) * (x + z * z) % _P  # a = -3
    x3 = (m * m - 2 * s) % _P
    return _Point(x3, (m * (s - x3) - 8 * square * square) % _P, 2 * y * z % _P)


def _add(left: _Point, right: _Point) -> _Point:
    if not left.z:
        return right
    if not right.z:
        return left
    z1, z2 = left.z * left.z % _P, right.z * right.z % _P
    u1, u2 = left.x * z2 % _P, right.x * z1 % _P
    s1, s2 = left.y * z2 * right.z % _P, right.y * z1 * left.z % _P
    h, r = (u2 - u1) % _P, (s2 - s1) % _P
    if not h:
        return _INFINITY if r else _double(left)
    h2 = h * h % _P
    h3, v = h2 * h % _P, u1 * h2 % _P
    x3 = (r * r - h3 - 2 * v) % _P
    return _Point(x3, (r * (v - x3) - s1 * h3) % _P, left.z * right.z * h % _P)


def _multiply(factor: int, point: _Point) -> _Point:
    result = _INFINITY
    for bit in f"{factor:b}":
        result = _double(result)
        if bit == "1":
            result = _add(result, point)
    return result


def _affine(point: _Point) -> tuple[int, int]:
    inverse = pow(point.z, -1, _P)
    square = inverse * inverse % _P
    return point.x * square % _P, point.y * square * inverse % _P


def sm3(data: bytes) -> bytes:
    """SM3 (GB/T 32905), 32 bytes.

    >>> sm3(b"abc").hex()
    '66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0'
    """
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _bytes(number: int) -> bytes:
    return number.to_bytes(32, "big")


def is_private_key(key: bytes) -> bool:
    """Whether 32 bytes are a private key: 1 to n - 2."""
    return len(key) == PRIVATE_KEY_BYTES and 0 < _number(key) < _N - 1


def public_key(private_key: bytes) -> bytes:
    """The public half: 04, x, y; 65 bytes.

    >>> key = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8"
    >>> public_key(bytes.fromhex(key)).hex()[2:18]
    '09f9df311e5421a1'
    """
    assert is_private_key(private_key)
    x, y = _affine(_multiply(_number(private_key), _G))
    return b"\x04" + _bytes(x) + _bytes(y)


def _digest(public: bytes, message: bytes, identity: bytes) -> int:
    """e = SM3(Z, message), Z over identity, curve and public key (GB/T 32918.2 §5.5)."""
    head = (8 * len(identity)).to_bytes(2, "big") + identity
    curve = b"".join(_bytes(each) for each in (_A, _B, _G.x, _G.y))
    return _number(sm3(sm3(head + curve + public[1:]) + message))


def _hmac(key: bytes, data: bytes) -> bytes:
    mac = hmac.HMAC(key, hashes.SM3())
    mac.update(data)
    return mac.finalize()


class _Nonces:
    """RFC 6979 §3.2: candidates in order, each from key and digest alone."""

    def __init__(self, private_key: bytes, digest: int) -> None:
        seed = private_key + _bytes(digest % _N)
        self._v, self._k = b"\x01" * 32, bytes(32)
        for mark in (b"\x00", b"\x01"):
            self._k = _hmac(self._k, self._v + mark + seed)
            self._v = _hmac(self._k, self._v)

    def next(self) -> int:
        while True:
            self._v = _hmac(self._k, self._v)
            candidate = _number(self._v)
            self._k = _hmac(self._k, self._v + b"\x00")
            self._v = _hmac(self._k, self._v)
            if 0 < candidate < _N:
                return candidate


def sign(private_key: bytes, message: bytes, identity: bytes = DEFAULT_IDENTITY) -> bytes:
    """r and s, 64 bytes (GB/T 32918.2 §6.1). The same message gets the same signature."""
    d = _number(private_key)
    e = _digest(public_key(private_key), message, identity)
    nonces = _Nonces(private_key, e)
    while True:
        k = nonces.next()
        x1, _ = _affine(_multiply(k, _G))
        r = (e + x1) % _N
        s = pow(1 + d, -1, _N) * (k - r * d) % _N
        if r and s and r + k != _N:
            return _bytes(r) + _bytes(s)


def _decode_public_key(data: bytes) -> _Point:
    x, y = _number(data[1:33]), _number(data[33:])
    on_curve = (y * y - (x * x * x + _A * x + _B)) % _P == 0
    if len(data) != PUBLIC_KEY_BYTES or data[0] != 0x04 or max(x, y) >= _P or not on_curve:
        raise DecodeError("SM2 public key", 0, "is no point of the curve (04, x, y)")
    return _Point(x, y, 1)


def verify(
    public: bytes, signature: bytes, message: bytes, identity: bytes = DEFAULT_IDENTITY
) -> None:
    """Prove a signature (GB/T 32918.2 §7.1).

    Raises `CryptogramError` when it does not hold, `DecodeError` for a public key that is none.

    >>> key = bytes.fromhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
    >>> verify(public_key(key), sign(key, b"message digest"), b"message digest")
    """
    point = _decode_public_key(public)
    r, s = _number(signature[:32]), _number(signature[32:])
    t = (r + s) % _N
    if len(signature) == SIGNATURE_BYTES and 0 < r < _N and 0 < s < _N and t:
        sum_ = _add(_multiply(s, _G), _multiply(t, point))
        if sum_.z and (_digest(public, message, identity) + _affine(sum_)[0]) % _N == r:
            return
    raise CryptogramError(Text("SM2 签名不符", "the SM2 signature does not hold"))
