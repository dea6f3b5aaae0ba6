"""What a graph knows about itself.

lifetimes  bytes alive at each op, in any order
critical   the longest chain of ops that depend on each other, loops unrolled in closed form
repeats    blocks that stand several times one behind the other
zeros      zeros of stored weights
facts      all of it in one record
"""
