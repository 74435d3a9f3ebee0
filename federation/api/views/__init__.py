"""Views parse, call a service or a selector, and render: nothing else."""
