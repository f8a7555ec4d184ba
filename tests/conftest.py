"""Profiles for hypothesis: a fixed default run and a deep one."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "default",
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "deep", settings.get_profile("default"), max_examples=5000
)
settings.load_profile(os.environ.get("CLONEPOLICY_PROFILE", "default"))
