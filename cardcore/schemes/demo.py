"""The scheme of the demonstration city (示例市): invented, small, and with every kind of role.

Bus: one price, 90 % for a card. Metro: by distance, 95 %. A transfer within ninety minutes takes
one yuan off an adult's bus ride. Half and free classes are reckoned on the full tariff. Goods in
a shop cost what they cost. Everything rounds down to the fen.
"""

from cardcore.money import percent_floor
from cardcore.records.record import Concession, RecordKind, Sector
from cardcore.schemes import FareClass, Participant, Role, Scheme

TRANSFER_DISCOUNT_FEN = 100
TRANSFER_WINDOW_MINUTES = 90


def fare_fen(kind: RecordKind, tariff_fen: int, fare_class: FareClass) -> int:
    """What a ride costs a passenger of that class. An entry costs nothing.

    >>> fare_fen(RecordKind.PURCHASE, 200, FareClass(Concession.ADULT, False))
    180
    >>> fare_fen(RecordKind.EXIT, 500, FareClass(Concession.HALF, False))
    250
    """
    if kind is RecordKind.ENTRY:
        return 0
    percent = {
        Concession.FREE: 0,
        Concession.FULL: 100,
        Concession.HALF: 50,
        Concession.ADULT: 95 if kind is RecordKind.EXIT else 90,
    }[fare_class.concession]
    fare = percent_floor(tariff_fen, percent)
    return max(0, fare - TRANSFER_DISCOUNT_FEN) if fare_class.transfer else fare


_UNMARKED = tuple(
    FareClass(concession, transfer=False)
    for concession in (Concession.ADULT, Concession.HALF, Concession.FREE, Concession.FULL)
)
_TRANSFER = (FareClass(Concession.ADULT, transfer=True),)

SCHEME = Scheme(
    name="demo",
    issuer=bytes.fromhex("02153310FFFFFFFF"),
    city_code="3310",
    cutover_hour=2,
    participants=(
        Participant(101, "示例公交", Role.OPERATOR, Sector.TRANSIT),
        Participant(201, "示例地铁", Role.OPERATOR, Sector.TRANSIT),
        Participant(501, "便民超市", Role.OPERATOR, Sector.MERCHANT),
        Participant(502, "机关食堂", Role.OPERATOR, Sector.MERCHANT),
        Participant(901, "市民卡服务网点", Role.LOAD_AGENT, Sector.CARD_SERVICE),
    ),
    tariff_version=1,
    fare_fen=fare_fen,
    classes={False: _UNMARKED + _TRANSFER, True: _TRANSFER + _UNMARKED},
    # Its transit cards have one purse: shops take the money of the rides.
    purses={"shop": ("transit",)},
)
