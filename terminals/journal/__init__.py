"""What a terminal knows after power came back, and what it sends of it.

Read it in this order::

    journal.py, schema.sql  the intent before the debit, the outcome after it; serials
    upload.py               records into signed batch files, the same bytes every time
    migration.py            a journal of an older format made one of today's
    salvage.py              what can be saved out of a damaged journal
"""
