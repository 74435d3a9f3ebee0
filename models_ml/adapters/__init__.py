"""Adapters between log files and edge streams."""

from models_ml.adapters.reading import FORMATS, iterate, read
from models_ml.adapters.report import BadLine, ReadReport
from models_ml.adapters.writing import write_conn_log

__all__ = ["FORMATS", "BadLine", "ReadReport", "iterate", "read", "write_conn_log"]
