"""Detection on this organisation's own flows: read, score, group into alerts, say what to do. Nothing leaves here."""
