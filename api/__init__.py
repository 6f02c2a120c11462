"""Where the parts are put together: composition, the virtual city, measurements, the command line.

Read it in this order::

    language.py     which language is spoken
    exits.py        how commands end
    lines.py        where words go on in a next line
    tables.py       rows that are never cut, on a terminal and in a pipe
    settings.py     which environment this is
    production.py   what production refuses, in one table
    composition.py  which provider stands behind each port; opens a city and its keys
    output.py       how the program speaks: one JSON object, or tables and sentences
    simulation/     a virtual city: chips at rest, taps to drive, terminals to drive them
    bench/          `onecard bench`: the budgets, each beside its baseline
    cli/            the command line `onecard`, one file a noun
"""
