"""Which bytes stand under each cryptogram of the electronic purse (JR/T 0025, purse part).

Card, PSAM and host compute the same MACs from the same messages, so the composition stands here
once. Leaves keys and algorithms to `cardcore.crypto`. `time` is seven bytes YYYYMMDDHHMMSS,
`terminal` six bytes, amounts and balances fen in four bytes.
"""


def _u(value: int, length: int) -> bytes:
    return value.to_bytes(length, "big")


def purchase_session_input(random: bytes, offline_counter: int, psam_sequence: int) -> bytes:
    """Random, offline counter, low two bytes of the PSAM's sequence.

    >>> purchase_session_input(bytes.fromhex("11223344"), 0, 1).hex()
    '1122334400000001'
    """
    return random + _u(offline_counter, 2) + _u(psam_sequence & 0xFFFF, 2)


def load_session_input(random: bytes, online_counter: int) -> bytes:
    """Random, online counter, 8000.

    >>> load_session_input(bytes.fromhex("11223344"), 0).hex()
    '1122334400008000'
    """
    return random + _u(online_counter, 2) + b"\x80\x00"


def load_mac1_message(
    balance_before_fen: int, amount_fen: int, transaction_type: int, terminal: bytes
) -> bytes:
    """MAC1 of a load: the card shows the host that it is genuine."""
    return _u(balance_before_fen, 4) + _u(amount_fen, 4) + bytes((transaction_type,)) + terminal


def load_mac2_message(
    amount_fen: int, transaction_type: int, terminal: bytes, time: bytes
) -> bytes:
    """MAC2 of a load: the host shows the card that it agrees."""
    return _u(amount_fen, 4) + bytes((transaction_type,)) + terminal + time


def load_tac_message(
    balance_after_fen: int,
    online_counter: int,
    amount_fen: int,
    transaction_type: int,
    terminal: bytes,
    time: bytes,
) -> bytes:
    """TAC of a load; `online_counter` is the one before it moved on."""
    head = _u(balance_after_fen, 4) + _u(online_counter, 2) + _u(amount_fen, 4)
    return head + bytes((transaction_type,)) + terminal + time


def purchase_mac1_message(
    amount_fen: int, transaction_type: int, terminal: bytes, time: bytes
) -> bytes:
    """MAC1 of a purchase: the PSAM shows the card that the terminal is genuine."""
    return load_mac2_message(amount_fen, transaction_type, terminal, time)


def purchase_mac2_message(amount_fen: int) -> bytes:
    """MAC2 of a purchase: the card shows the PSAM that it was debited."""
    return _u(amount_fen, 4)


def purchase_tac_message(
    amount_fen: int, transaction_type: int, terminal: bytes, psam_sequence: int, time: bytes
) -> bytes:
    """TAC of a purchase or composite purchase.

    >>> purchase_tac_message(4096, 6, bytes.fromhex("001122334455"), 1,
    ...                      bytes.fromhex("20120229135100")).hex()
    '00001000060011223344550000000120120229135100'
    """
    head = _u(amount_fen, 4) + bytes((transaction_type,)) + terminal
    return head + _u(psam_sequence, 4) + time


def unload_mac3_message(
    balance_after_fen: int,
    online_counter: int,
    amount_fen: int,
    transaction_type: int,
    terminal: bytes,
    time: bytes,
) -> bytes:
    """MAC3 of an unload: the card shows the host that the money has left it.

    No public source confirms this message; ours is that of the TAC of a load.
    """
    terms = (amount_fen, transaction_type, terminal, time)
    return load_tac_message(balance_after_fen, online_counter, *terms)


def overdraft_mac1_message(
    balance_fen: int, limit_fen: int, transaction_type: int, terminal: bytes
) -> bytes:
    """MAC1 of a change of the overdraft limit: balance, limit so far, type, terminal.

    The messages of this transaction are not confirmed by a public source either; they follow
    those of the load, with the limit of three bytes in place of the amount.
    """
    return _u(balance_fen, 4) + _u(limit_fen, 3) + bytes((transaction_type,)) + terminal


def overdraft_mac2_message(
    limit_fen: int, transaction_type: int, terminal: bytes, time: bytes
) -> bytes:
    """MAC2 of a change of the overdraft limit: the new limit, type, terminal, time."""
    return _u(limit_fen, 3) + bytes((transaction_type,)) + terminal + time


def overdraft_tac_message(
    balance_fen: int,
    online_counter: int,
    limit_fen: int,
    transaction_type: int,
    terminal: bytes,
    time: bytes,
) -> bytes:
    """TAC of a change of the overdraft limit; `online_counter` is the one before it moved on."""
    mac2 = overdraft_mac2_message(limit_fen, transaction_type, terminal, time)
    return _u(balance_fen, 4) + _u(online_counter, 2) + mac2
