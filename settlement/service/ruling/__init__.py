"""People act: somebody shows a secret, asks, answers. Each act is one transaction, the only commit
point there is.

Read it in this order::

    showing.py    whoever acts shows their secret; wrong ones are counted
    standings.py  what the subjects of each kind are at this moment
    decisions.py  what closed days decided of one record, and found of one device
    open_items.py  what the last closed day left open of a card, a load, a terminal's serials
    payouts.py    what a ruling that settles cases pays out
    registry_proof.py  every change of the registry has its ruling
    effects.py    what follows from an approval at once
    acting.py     propose, approve, decline
    registry.py   changes of the registry, proposed as they are to be made
    people.py     the first two, and a secret of one's own that is changed
"""
