"""Paillier: masked updates are encrypted as well, under a key that organisations hold and the coordinator does not.

Who reads the coordinator's files and one organisation's round still sees only masked values. Units of 2^-16: narrow
lanes make few ciphertexts.
"""

from federation.protection.masked import Masked

PAILLIER = Masked(name="paillier", frac_bits=16)
