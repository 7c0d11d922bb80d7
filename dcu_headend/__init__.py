"""What a head-end needs to understand DCUs: decoding, sequences, acknowledgements, commands. Standard library only.

Nothing of the daemon is imported here; the contract between the two is docs/asyncapi.yaml and docs/block-format.md.
"""

from dcu_headend.asking import Asking
from dcu_headend.block import DecodeError
from dcu_headend.decoding import Block, Capture, Column, Dropped, Health, Message, MeterState, Result, State, decode
from dcu_headend.following import Follower, Gap
from dcu_headend.reconciling import Sums

__all__ = [
    "Asking",
    "Block",
    "Capture",
    "Column",
    "DecodeError",
    "Dropped",
    "Follower",
    "Gap",
    "Health",
    "Message",
    "MeterState",
    "Result",
    "State",
    "Sums",
    "decode",
]
