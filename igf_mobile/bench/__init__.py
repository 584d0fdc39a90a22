"""`igf bench`: what a frame costs on this machine, beside what others take and what the machine could do.

Every side is timed in a process of its own, in short blocks that take turns: a noisy minute hits all alike, no
runtime's thread pool meets another's, and peak memory belongs to one side.
"""
