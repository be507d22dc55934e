"""Where tasks run: processes on this machine, or the workers of a Dask scheduler.

In: the section `execution` of params.yaml, and functions to call. Out: a Pool, an executor that replaces workers
which die. It knows nothing of what the tasks compute.
"""
