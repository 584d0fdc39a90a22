"""`igf export` and `igf verify`: commands over several packages, which none of those can hold.

`pipeline` makes and runs the artifacts; `quantize` and `report`, which come after it, have a part in both commands.
"""
