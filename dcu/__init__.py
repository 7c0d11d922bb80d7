"""The data concentrator daemon: reads DLMS/COSEM meters, keeps every reading, talks MQTT to the head-end.

The floors (F0 words … F5 assembly) and the import rules between them are in `docs/understand/architecture.md`.
"""

__version__ = "0.1.0"
