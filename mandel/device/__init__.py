"""OpenCL devices: the only package that imports pyopencl."""
