"""A simulated Qubes OS on one ordinary machine; see README.md. Tests import `Lab` from here.

Runs on the host. It imports nothing of the product, and the product nothing of it.
"""

from .client import Lab
from .errors import LabError

__all__ = ["Lab", "LabError"]
