"""Who acts in the office: people, and the systems that act by themselves (pure).

Read it in this order::

    actions.py  who does what, when and why: what stands with every act of the office
    names.py    which names a person can have, and which are read as the same
    roles.py    what a person may ask for, and what a person may answer
    signing.py  a secret becomes a signature, and is kept nowhere
    person.py   a person: name, role, public key, until when
    tries.py    secrets that were wrong: counted, slowed, locked
"""
