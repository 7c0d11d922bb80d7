"""The flow of one bus: whom it visits next, what it collects there, and what it does in between.

What is said during a visit is in `dcu.conversation`, what is due when in `dcu.plan`, what is kept in `dcu.store`.
"""
