"""The only room that touches the machine: thin layers over bpf, nft, netlink and the clock."""
