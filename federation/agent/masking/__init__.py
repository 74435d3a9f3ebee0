"""This organisation's part in masked rounds."""
