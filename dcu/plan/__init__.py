"""The plan of one bus: which meter is visited next, and for what. Pure: time is a parameter, nothing is read or sent.

How a visit goes is the session's business; what was found is the store's.
"""

from dcu.plan.planner import ANSWERED, BusPlan, PlanCounts

__all__ = ["ANSWERED", "BusPlan", "PlanCounts"]
