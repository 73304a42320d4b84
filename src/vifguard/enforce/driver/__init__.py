"""The protocol of drivers, and the order in which any of them is used; of no backend."""
