"""The technology model: energies and areas of arithmetic, memories, wires and links from published tables, by node.

`tables` reads the constants, `scaling` carries them between nodes, `arithmetic` and `memory` compose them.
"""
