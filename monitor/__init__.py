"""The ward: takes the messages in, drives the core over them, keeps its state, says alerts.

service.py wires everything together and is the file to read first.
"""
