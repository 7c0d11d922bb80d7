"""Meters that come and go while the daemon runs: their lines, and who has to learn of it.

What is known of those that are there is in `dcu.archive`; the search for new ones on a bus is `dcu.polling`'s.
"""
