"""What networks cost on devices: amounts from tables and profiles as named costs of any space."""

from uninas_evo.devices.costs import CostOptions, SizeCost, costed
from uninas_evo.devices.profile import Profile, ProfileCost
from uninas_evo.devices.table import TableCost, read_amounts

__all__ = ["CostOptions", "Profile", "ProfileCost", "SizeCost", "TableCost", "costed", "read_amounts"]
