"""A seeded generator of flow records for machines without data of their own."""

from models_ml.synthetic.generator import FAMILIES_OF, generate

__all__ = ["FAMILIES_OF", "generate"]
