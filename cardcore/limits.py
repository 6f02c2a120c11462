"""Every limit of the card, with its unit, its reason and where it comes from.

Decides the numbers only; the code that keeps a limit names it. A limit without a source is ours,
and says why it has the size it has.
"""

#: Balance of an anonymous card (不记名卡). A prepaid card without a name holds at most 1,000 yuan:
#: 《支付机构预付卡业务管理办法》 (2012), on the face value of one card.
BALANCE_MAX_FEN = 100_000

#: Balance of a registered card (记名卡): at most 5,000 yuan, the same rule.
BALANCE_MAX_REGISTERED_FEN = 500_000

#: Both counters of the purse are two bytes (JR/T 0025); a card that reaches the last value
#: answers 9402 for good, so that no counter is ever used twice.
COUNTER_MAX = 0xFFFF

#: Records one composite purchase holds back until its DEBIT. A gate writes two (EF1A, EF1E); ours,
#: twice that, so that the commit stays short enough to finish on a card that is being pulled away.
CAPP_RECORDS_MAX = 4

#: Bytes in one answer: a short APDU carries 256 (ISO/IEC 7816-3 §12.1). Reading "to the end"
#: stops at the last whole record that fits.
RESPONSE_BYTES_MAX = 256

#: Overdraft limit: three bytes in INITIALIZE and UPDATE OVERDRAW LIMIT (JR/T 0025).
OVERDRAFT_LIMIT_MAX_FEN = 0xFFFFFF

#: Highest balance a purse can be made for: four bytes with the sign bit clear, which readers mask.
PURSE_FIELD_MAX_FEN = 0x7FFFFFFF - OVERDRAFT_LIMIT_MAX_FEN

#: A package of one application on its way into the card. Ours: the largest, health with a photo
#: and eight visits, has about 20 kilobytes.
PACKAGE_BYTES_MAX = 48 * 1024

#: All files of a chip, records counted as if every one were written, so that no file outgrows what
#: there is. Ours, after chips of 80 kilobytes; a citizen card with all applications takes 28.
FILES_BYTES_MAX = 80 * 1024

#: All cells of a memory: the files, a package on its way in, and a kilobyte for what it is.
MEMORY_BYTES_MAX = FILES_BYTES_MAX + PACKAGE_BYTES_MAX + 1024

#: Data of one answer inside a secure channel at level 33: padded to whole blocks of 16, with an
#: R-MAC of 8 bytes they must fit into the 256 of a short APDU.
CHANNEL_RESPONSE_BYTES_MAX = 239
