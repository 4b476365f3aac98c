"""The whole engine on ports in memory, in virtual time; everything that happens is drawn from a seed."""
