"""The machine beneath the daemon: its processes, memory, clock service, service manager and local socket."""
