"""The workers' processes: task functions on a device. Any may be killed at any time."""
