"""Be Vietnam Pro as the wall serves it: what Vietnamese and its neighbours write with, made by `make.py`."""
