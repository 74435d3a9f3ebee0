"""Property tests on a shared machine: an example that waited for the processor has not failed."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
