"""Adapters between log files and edge streams."""

from models_ml.adapters.reading import FORMATS, FlowReader, Reading, iterate, read
from models_ml.adapters.report import BadLine, ReadReport
from models_ml.adapters.writing import write_conn_log
from models_ml.adapters.writing_eve import write_eve

__all__ = [
    "FORMATS",
    "BadLine",
    "FlowReader",
    "ReadReport",
    "Reading",
    "iterate",
    "read",
    "write_conn_log",
    "write_eve",
]
