"""An evaluation as one HTML file: no script, nothing loaded from elsewhere, for eyes, screen readers and paper."""
