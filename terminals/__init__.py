"""What stands at the edge of the city: readers, journals, uploads, one file per device role.

A terminal takes a card offline, keeps what happened through any power loss, and sends signed
files. Read it in the order of one tap::

    errors.py      faults of link, device and disk
    taps.py        what a tap asks for and how it can end
    flow.py        the states of a tap, as tables
    session.py     one tap as a state machine without I/O
      actions.py   what it can ask its caller to do
      commands.py  the bytes said to card and PSAM
      decisions.py what a terminal decides by itself
    roles/         bus, gate, shop, kiosk, as data for the session
    connection.py  the link to card and PSAM, and the trace of what was said
      pcsc.py      the same through real readers; the only module that imports pyscard
      vpcd.py      the other end: a virtual card in a virtual reader
    terminal.py    carries a session between card, PSAM, load host and journal
    journal.py     what is on disk before and after money moves; `schema.sql`
    upload.py      records into signed batch files
    salvage.py     what can be saved out of a damaged journal
    reading.py     what any card says without a key, in the form of a published dump
    narration.py   what was said to a card, in words, secrets left out
    reader_faults.py  what can be wrong with a reader and what to do about it
"""
