"""`igf export` and `igf verify`: a checkpoint to a folder of artifacts that were measured, and back.

A build folder holds the artifacts, `manifest.json`, the mattes of the sample photographs and
`report.html`. What is current is not built again; a killed export goes on at the next artifact.
"""
