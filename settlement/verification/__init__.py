"""Verification (验证): everything again from the raw bytes.

Decides nothing here; read in this order::

    findings.py  the ten invariants, and how a finding reads
    verify.py    the order of the checks
    kept/        the folder, raw files, the database's own schema
    files.py     batch files, facts, TACs
    load_logs.py  files of the load host's log, and the loads they list
    reviews.py   what was judged later than it came
    records.py   records of a run against its decisions
    float_proof.py  the proof of the float against purses and ledger
    days.py      runs, ledger, positions, seals
    seals.py     numbers and signatures of closed days, the register, what witnesses show
    rulings.py   what closed days applied of what people ruled
    audit_log.py  what people did: signed, by two where it takes two, nothing cut
    registry.py  the registry's chain of changes, and what closed days read of it
"""
