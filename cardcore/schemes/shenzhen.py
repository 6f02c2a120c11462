"""Shenzhen Tong (深圳通): the published tariff of 2018 and its operators.

Metro: 95 % of the tariff. Bus: 80 % of the part to 3 yuan, 75 % of the part from 3 to 6, 65 % of
the part above. A transfer takes 40 fen off. Half and free classes are reckoned on the full tariff.
Everything rounds down to the fen.
"""

from cardcore.money import percent_floor
from cardcore.records.record import Concession, RecordKind, Sector
from cardcore.schemes import FareClass, Participant, Role, Scheme

TRANSFER_DISCOUNT_FEN = 40
#: Bus tariff bands: up to how many fen, per cent charged of the part inside the band.
BUS_BANDS = ((300, 80), (600, 75), (None, 65))


def bus_fare_fen(tariff_fen: int) -> int:
    """Adult bus fare.

    >>> [bus_fare_fen(tariff) for tariff in (200, 300, 500, 1000)]
    [160, 240, 390, 725]
    """
    charged, lower = 0, 0
    for upper, percent in BUS_BANDS:
        part = max(0, (tariff_fen if upper is None else min(tariff_fen, upper)) - lower)
        # Parts are summed in hundredths of a fen: the fare rounds down once, at the end.
        charged += part * percent
        lower = lower if upper is None else upper
    return charged // 100


def fare_fen(kind: RecordKind, tariff_fen: int, fare_class: FareClass) -> int:
    """What a ride costs a passenger of that class. An entry costs nothing.

    >>> fare_fen(RecordKind.EXIT, 400, FareClass(Concession.ADULT, False))
    380
    >>> fare_fen(RecordKind.PURCHASE, 200, FareClass(Concession.ADULT, True))
    120
    """
    if kind is RecordKind.ENTRY:
        return 0
    match fare_class.concession:
        case Concession.FREE:
            return 0
        case Concession.FULL:
            fare = tariff_fen
        case Concession.HALF:
            fare = percent_floor(tariff_fen, 50)
        case Concession.ADULT if kind is RecordKind.EXIT:
            fare = percent_floor(tariff_fen, 95)
        case Concession.ADULT:
            fare = bus_fare_fen(tariff_fen)
    return max(0, fare - TRANSFER_DISCOUNT_FEN) if fare_class.transfer else fare


def _operators() -> tuple[Participant, ...]:
    buses = ("巴士集团", "东部公共汽车", "西部公共汽车")
    metro_lines = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一")
    names = [(100 + number, name) for number, name in enumerate(buses, 1)] + [
        (200 + number, f"地铁{line}号线") for number, line in enumerate(metro_lines, 1)
    ]
    return tuple(Participant(code, name, Role.OPERATOR, Sector.TRANSIT) for code, name in names)


_UNMARKED = tuple(
    FareClass(concession, transfer=False)
    for concession in (Concession.ADULT, Concession.HALF, Concession.FREE, Concession.FULL)
)
_TRANSFER = (FareClass(Concession.ADULT, transfer=True), FareClass(Concession.HALF, transfer=True))

SCHEME = Scheme(
    name="shenzhen",
    issuer=bytes.fromhex("05845840FFFFFFFF"),
    city_code="5840",
    cutover_hour=0,
    participants=(
        *_operators(),
        Participant(900, "深圳通客服", Role.LOAD_AGENT, Sector.CARD_SERVICE),
    ),
    tariff_version=1,
    fare_fen=fare_fen,
    # Without the mark a full-class explanation comes before a transfer taken silently; with the
    # mark a passenger who rides free or pays in full simply had no discount to lose.
    classes={False: _UNMARKED + _TRANSFER, True: _TRANSFER + _UNMARKED},
    # 深圳通 has one purse: shops take the money of the rides.
    purses={"shop": ("transit",)},
)
