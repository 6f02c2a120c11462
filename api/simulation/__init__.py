"""A virtual city: chips that survive the process, and taps that drive real terminals.

Nothing here is a stand-in for a terminal or for settlement: cards and PSAMs are the reference
ones, only their silicon is a row in a file. A process that is killed leaves them as a power cut
would leave real chips.
"""
