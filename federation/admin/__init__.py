"""The operator's first face."""

from federation.admin import confirmations, organizations, records, rounds

__all__ = ["confirmations", "organizations", "records", "rounds"]
