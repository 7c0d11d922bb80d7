"""What is said to one meter, from opening it to what its answers mean.

`dcu.dlms` knows the octets; which meter is visited for what, and what becomes of a visit, is `dcu.polling`'s business.
"""
