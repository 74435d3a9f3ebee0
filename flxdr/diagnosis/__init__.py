"""What an operator asks when something is wrong: `manage.py diagnose`."""
