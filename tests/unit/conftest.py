"""Properties hold however busy the machine is: no deadline for an example, no complaint about a slow one."""

from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
