"""Read and write labelled points."""
