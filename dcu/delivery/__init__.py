"""The flow up: what waits in the store goes over the uplink, in an order and until it is acknowledged.

What messages hold is in `dcu.messages`, how a connection is made in `dcu.uplink`, what is kept in `dcu.store`.
"""
