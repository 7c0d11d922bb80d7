"""The tools people type: `dcu` runs and checks the daemon, `dcuctl` talks to a running one."""
