"""The key service in simulation: it knows keys and no business.

Everything here stands behind a port of `cardcore` that a real device can satisfy instead:
`service.InProcessKeyService` behind `cardcore.keys.KeyService`, `psam.Psam` behind the APDUs of a
secure access module (销售点终端安全存取模块). Only composition roots name this package.

Read it in this order::

    vault.py           keys by name and version, their check values
    published_keys.py  the rule that makes the public test keys, and how they are recognised
    service.py         single operations: derive, MAC, verify, sign; usage is enforced
    proof.py           bulk: one reason for every row of a column of TACs
    bitslice.py        DES on whole columns at once, one lane a record
    sboxes.py          the eight S-boxes as circuits of AND, OR and XOR
    psam.py            the PSAM: one APDU in, one APDU out, a sequence that never repeats
"""
