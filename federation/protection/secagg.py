"""Secure aggregation: updates are masked with random vectors that cancel in the sum (Bonawitz et al., CCS 2017).

Units of 2^-22: the sum of 63 updates within +-8 fits 32-bit words, of more organisations 64-bit ones.
"""

from federation.protection.masked import Masked

SECAGG = Masked(name="secagg", frac_bits=22)
