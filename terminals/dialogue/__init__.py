"""What is said to card and PSAM outside the movement of a purse: generators that yield commands.

Decides nothing for the whole room. A dialogue never sends: it yields a command and is sent the
answer, so it runs over a reader, in process, or over a wire, and may be cut off anywhere. Read it
in this order::

    commands.py    the bytes of the commands
    talking.py     the shape of a dialogue, and the shell that carries one
    record_mac.py  a finished record gets the PSAM's MAC
    shell.py       the shell: speaks to card and PSAM, keeps what came of it in the journal
    sign.py        a record in which no purse moves: the PSAM's number, the card's answer
"""
