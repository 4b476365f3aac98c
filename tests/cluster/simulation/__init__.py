"""What stands for the machines: the stages of simulated nodes, and the local processes of agents."""
