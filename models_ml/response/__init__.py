"""What to do about an incident: actions, what forbids them, a simulation to learn in, and the policy that learns."""
