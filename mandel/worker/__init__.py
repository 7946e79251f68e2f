"""The workers' processes: functions that carry out tasks on a device. Each may be killed at any time."""
