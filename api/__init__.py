"""Where the parts are put together: composition, the virtual city, the command line.

Read it in this order::

    settings.py      which environment this is, and what production refuses
    composition.py   the only module that names the key service simulator; opens a city
    statement.py     settled days added up
    world/           a virtual city: chips at rest, taps to drive, terminals to drive them
    cli/             the command line `onecard`, one file a noun
"""
