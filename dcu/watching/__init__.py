"""What looks at the work and tells of it, by events and to who asks: clocks, buses, meters, gaps, days, the audit.

It changes nothing in what it looks at; what it finds too much, too late or missing is for people to act on.
"""
