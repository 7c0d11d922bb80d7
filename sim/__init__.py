"""A simulated neighbourhood for the daemon to read: homes, meters, lines, and the people at the other end."""
