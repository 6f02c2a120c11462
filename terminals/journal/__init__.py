"""What a terminal knows after power came back, and what it sends of it.

Read it in this order::

    disk.py                 databases made whole and checked whole; a commit that is on the disk
    journal.py, schema.sql  the intent before the debit, the outcome after it; serials
    macs.py                 which records may still get the MAC of their PSAM
    upload.py               records into signed batch files, the same bytes every time
    migration.py            a journal of an older format made one of today's
    load_log.py             the load host's log: durable before MAC2 leaves
    salvage.py              what can be saved out of a damaged journal
"""
