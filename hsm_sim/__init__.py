"""The key service, in process and as a process of its own: it knows keys and no business.

It is called a simulator because its device keeps keys in a file; behind `unix:` and `tls:` it is
the key service that a city runs on. Everything here stands behind a port of `cardcore` that other
hardware can satisfy instead: a key service behind `cardcore.keys.KeyService`, `psam.Psam` behind
the APDUs of a secure access module (销售点终端安全存取模块). Only composition roots name it.

Read it in this order::

    keys/           where keys live and what may be done with them, for every provider alike
    proof/          bulk: one reason for every row of a column of TACs
    token/          master keys in a PKCS#11 token; what of them leaves it, and for how long
    psam/           the PSAM: one APDU in, one APDU out, a sequence that never repeats
    device/         the key service as a device: custodians, key blocks, ceremonies, the log
    host_commands/  a second dialect, as scripts for payment HSMs speak it
    hardening.py    what a process does before it takes keys in
    wire/           the key service as its own process: its wire, its server, its client
"""
