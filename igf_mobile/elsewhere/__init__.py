"""What `igf verify --arch` and `igf verify --runtime` share: steps of the int8 heads, and the record of a verdict."""
