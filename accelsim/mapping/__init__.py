"""Where and when: tiling, placement and issue order of a workload on an architecture, lowered to a task graph."""
