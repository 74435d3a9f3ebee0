"""The operator's first face."""

from federation.admin import organizations, records, rounds

__all__ = ["organizations", "records", "rounds"]
