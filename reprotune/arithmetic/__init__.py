"""What fixes the bits of a result: which kernels the libraries take, and a digest of what these compute.

In: nothing but the processor and the installed libraries. Out: variables that hold the libraries to one set of
kernels, and a record by which another arithmetic is noticed.
"""
