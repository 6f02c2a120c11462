"""One movement of a purse: a table, what is said in each of its states, and the shell around both.

All but the shell is pure. Read it in this order::

    flow.py       the states of a tap and what may follow what
    role.py       what a device is for, as data
    session.py    one tap as a state machine: from state to state, without doing anything
    learned.py    what a tap has learned so far; the shape of a step
    steps/        what is said in each state, and what the answer means
    actions.py    what it can ask its caller to do
    commands.py   the bytes said to card and PSAM, and the answers taken apart
    face.py       what the public files of a card say, in the form each kind of card has
    decisions.py  may this card pass; what became of a torn tap; what is written
    terminal.py   the shell: carries a session between card, PSAM, load host and journal
"""
