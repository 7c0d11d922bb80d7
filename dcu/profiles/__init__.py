"""Companion profiles as data: which objects, streams and event codes the meters of one kind have (`NAME.yaml` here).

How an object is read and decoded is not here; which meter follows which profile is in the configuration.
"""

from dcu.profiles.companion import Alarms, CompanionProfile, ProfileStream, StatusBits
from dcu.profiles.load import ProfileFolders, load_profile, parse_profile, stream_names

__all__ = [
    "Alarms",
    "CompanionProfile",
    "ProfileFolders",
    "ProfileStream",
    "StatusBits",
    "load_profile",
    "parse_profile",
    "stream_names",
]
