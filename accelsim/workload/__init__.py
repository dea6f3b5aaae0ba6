"""What to compute: tensors, ops and graphs, and the front ends that make them."""
