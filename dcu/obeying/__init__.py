"""The flow down: a command from its door to its answer, and what is refused at the door or begun no more.

What a command may say is in `dcu.messages`, the journal in `dcu.store`; its visit to a meter is made by `dcu.polling`.
"""
