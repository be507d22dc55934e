"""What the server that workers are forked from imports first: it holds modules alone, among which is no garbage.

Looking for it takes a tenth of the imports' time, and as the process ends as long as importing PyTorch does.
"""

import atexit
import gc

gc.disable()  # a worker enables it again
atexit.register(gc.freeze)
