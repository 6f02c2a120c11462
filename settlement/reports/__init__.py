"""What people and programs ask of a city. Reads only, and answers with frozen values.

Read it in this order::

    history.py    where one record came from and where its money went
    wording.py    how the steps of that history read, in Chinese and English (pure)
    statement.py  settled days added up
"""
