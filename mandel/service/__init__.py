"""The head's process: listener, jobs, and the supervisor of the driver. It owns DB/. No Ray, no OpenCL."""
