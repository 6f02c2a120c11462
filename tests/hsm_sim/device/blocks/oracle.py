"""psec, another author's key blocks, with its use of a library that warns kept to itself."""

import warnings

import psec


def wrap(protection_key: bytes, header: psec.tr31.Header, key: bytes) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return psec.tr31.wrap(kbpk=protection_key, header=header, key=key)


def unwrap(protection_key: bytes, block: str) -> tuple[psec.tr31.Header, bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return psec.tr31.unwrap(kbpk=protection_key, key_block=block)
