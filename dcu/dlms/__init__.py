"""The COSEM client, sans-I/O: bytes in, events out; it never sleeps, never touches a socket, never reads the clock.

What bytes travel over, and when to give up waiting for them, belongs to `dcu.conversation.session` and `dcu.bus`.
"""
