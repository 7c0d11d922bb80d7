"""What the daemon does for what it keeps: room and age, the state of the file, a store that fails, a look at readings.

How it lies in the file, and what is done to the file itself, is in `dcu.store`.
"""
