"""How long tests wait for something that must happen: patience is not what a test asserts.

A limit ends a test that hangs. It is generous, so that a machine several times slower, or one with
other work, passes; a test that measures a time says so by itself and takes none of these.
"""

#: For what takes a blink: a reply over a local socket, an event, the end of a process.
SOON_S = 60
#: For a program that starts, works and ends.
SLOW_S = 300
