"""Mapping onto analog tiles: ops on units (`assign`), matrices on tiles (`allocate`, `place`), tasks (`lower`)."""
