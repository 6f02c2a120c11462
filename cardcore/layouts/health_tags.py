"""The 57 data elements of a resident health card (居民健康卡, WS/T 543), as a table.

Decides tag, coding and length of each element. Leaves which file they stand in to the applet. Tags
are decimal here as in the standard; on the wire 57 is 39.
"""

from cardcore.layouts.tagged import TaggedField, TaggedTable, ValueCoding

_AN, _CN, _B = ValueCoding.TEXT, ValueCoding.DIGITS, ValueCoding.BYTES
ELEMENTS = (
    TaggedField(1, "card_class", _AN, 1),
    TaggedField(2, "version", _AN, 4),
    TaggedField(3, "issuer_name", _AN, 30),
    TaggedField(4, "issuer_code", _CN, 11),
    TaggedField(5, "issuer_certificate", _B, 180),
    TaggedField(6, "issued_on", _CN, 4),
    TaggedField(7, "valid_to", _CN, 4),
    TaggedField(8, "card_number", _AN, 18),
    TaggedField(9, "security_code", _AN, 3),
    TaggedField(10, "chip_serial", _AN, 10),
    TaggedField(11, "name", _AN, 30),
    TaggedField(12, "sex", _B, 1),
    TaggedField(13, "nation", _CN, 1),
    TaggedField(14, "birth_date", _CN, 4),
    TaggedField(15, "resident_id", _AN, 18),
    TaggedField(16, "phone_1", _AN, 20),
    TaggedField(17, "phone_2", _AN, 20),
    TaggedField(18, "payment_1", _CN, 1),
    TaggedField(19, "payment_2", _CN, 1),
    TaggedField(20, "payment_3", _CN, 1),
    TaggedField(21, "address_type_1", _CN, 1),
    TaggedField(22, "address_1", _AN, 100),
    TaggedField(23, "address_type_2", _CN, 1),
    TaggedField(24, "address_2", _AN, 100),
    TaggedField(25, "contact_1_name", _AN, 30),
    TaggedField(26, "contact_1_relation", _CN, 1),
    TaggedField(27, "contact_1_phone", _AN, 20),
    TaggedField(28, "contact_2_name", _AN, 30),
    TaggedField(29, "contact_2_relation", _CN, 1),
    TaggedField(30, "contact_2_phone", _AN, 20),
    TaggedField(31, "contact_3_name", _AN, 30),
    TaggedField(32, "contact_3_relation", _CN, 1),
    TaggedField(33, "contact_3_phone", _AN, 20),
    TaggedField(34, "education", _CN, 1),
    TaggedField(35, "marriage", _CN, 1),
    TaggedField(36, "occupation", _AN, 3),
    TaggedField(37, "document_type", _CN, 1),
    TaggedField(38, "document_number", _AN, 18),
    TaggedField(39, "health_record_number", _AN, 17),
    TaggedField(40, "rural_cooperative_number", _AN, 18),
    TaggedField(41, "blood_abo", _B, 1),
    TaggedField(42, "blood_rh", _CN, 1),
    TaggedField(43, "asthma", _B, 1),
    TaggedField(44, "heart_disease", _B, 1),
    TaggedField(45, "cardio_cerebral_disease", _B, 1),
    TaggedField(46, "epilepsy", _B, 1),
    TaggedField(47, "coagulation_disorder", _B, 1),
    TaggedField(48, "diabetes", _B, 1),
    TaggedField(49, "glaucoma", _B, 1),
    TaggedField(50, "dialysis", _B, 1),
    TaggedField(51, "transplant", _B, 1),
    TaggedField(52, "organ_missing", _B, 1),
    TaggedField(53, "removable_limb", _B, 1),
    TaggedField(54, "pacemaker", _B, 1),
    TaggedField(55, "other_warning", _AN, 40),
    TaggedField(56, "mental_disorder", _B, 1),
    TaggedField(57, "city_code", _CN, 3),
)
_BY_TAG = {element.tag: element for element in ELEMENTS}


def elements(*tags: int) -> TaggedTable:
    """The elements with these tags, in this order, as one file.

    >>> elements(13).encode({"nation": "01"})[0].hex()
    '0d0101'
    """
    return TaggedTable(tuple(_BY_TAG[tag] for tag in tags))
