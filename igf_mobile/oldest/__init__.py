"""`igf verify --runtime`: .tflite files in the oldest runtime that apps still ship."""
