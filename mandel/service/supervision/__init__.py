"""The driver's process as the head sees it: started, heard, replaced."""
