"""The service: listener, connections, jobs, and the supervisor of the Ray driver.

No ray here: Ray can end its process without warning, and the listener must
outlive that. docs/server.md explains the threads.
"""
