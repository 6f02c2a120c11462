"""The key service in simulation: it knows keys and no business.

Everything here stands behind a port of `cardcore` that a real device can satisfy instead: a key
service behind `cardcore.keys.KeyService`, `psam.Psam` behind the APDUs of a secure access module
(销售点终端安全存取模块). Only composition roots name this package.

Read it in this order::

    masters.py         where master keys live, seen from what is done with them
    vault.py           master keys in memory: names, states, check values
    published_keys.py  the rule that makes the public test keys, and how they are recognised
    operations.py      what may be done with a key: usage and state are enforced
    in_process.py      the key service in this process
    proof/             bulk: one reason for every row of a column of TACs
    token/             master keys in a PKCS#11 token; what of them leaves it, and for how long
    psam/              the PSAM: one APDU in, one APDU out, a sequence that never repeats
    device/            the key service as a device: custodians, key blocks, ceremonies, the log
    host_commands/     a second dialect, as scripts for payment HSMs speak it
    hardening.py       what a process does before it takes keys in
    wire/              the key service as its own process: its wire, its server, its client
"""
